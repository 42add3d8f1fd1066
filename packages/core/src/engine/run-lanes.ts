import type { RunState } from "../run/state.js";
import { type Dispatchable, type Dispatcher, Lane } from "./dispatcher.js";
import type { RegisteredPipeline } from "./registry.js";

interface LanedRun extends Dispatchable {
  readonly state: Pick<RunState, "positionOf">;
}

/** What is ready in one run, by priority: the run's and the task's added up. */
export class RunLanes {
  readonly #run: LanedRun;
  readonly #dispatcher: Dispatcher;
  readonly #entry: RegisteredPipeline;
  readonly #lane: Lane;
  /** By task priority, where not 0. */
  #others: Map<number, Lane> | undefined;
  /** How many instances wait for the dispatcher. */
  size = 0;

  constructor(run: LanedRun, dispatcher: Dispatcher, entry: RegisteredPipeline, priority: number) {
    this.#run = run;
    this.#dispatcher = dispatcher;
    this.#entry = entry;
    this.#lane = new Lane(run, priority);
  }

  enqueue(instances: readonly number[]): void {
    this.size += instances.length;
    if (!this.#entry.hasPriorities) return this.#dispatcher.enqueue(this.#lane, instances);
    for (const [lane, own] of this.#byLane(instances)) this.#dispatcher.enqueue(lane, own);
  }

  /** The dispatcher has let go of one. */
  left(): void {
    this.size--;
  }

  /** The highest priority first, so that it is the first to start. */
  #byLane(instances: readonly number[]): (readonly [Lane, number[]])[] {
    const lanes = new Map<Lane, number[]>();
    for (const instance of instances) {
      const lane = this.#laneOf(this.#entry.pipeline.plan.tasks[this.#run.state.positionOf(instance)]!.policy.priority);
      const own = lanes.get(lane);
      if (own === undefined) lanes.set(lane, [instance]);
      else own.push(instance);
    }
    return [...lanes].sort(([a], [b]) => b.priority - a.priority);
  }

  #laneOf(priority: number): Lane {
    if (priority === 0) return this.#lane;
    this.#others ??= new Map();
    const lane = this.#others.get(priority) ?? new Lane(this.#run, this.#lane.priority + priority);
    this.#others.set(priority, lane);
    return lane;
  }
}
