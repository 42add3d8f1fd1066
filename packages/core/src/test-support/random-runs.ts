import fc from "fast-check";
import type { TaskRecord, TaskStatus } from "../contracts/records.js";
import type { Node, TaskHandle } from "../define/handles.js";
import { type Pipeline, pipeline } from "../define/pipeline.js";
import { TRIGGER_RULES, type TriggerRule } from "../define/trigger-rules.js";
import { taskRecord } from "../engine/task-records.js";
import { noEffects } from "../run/effects.js";
import { isFinal, PENDING, READY, RETRYING, RUNNING, type RunState } from "../run/state.js";
import * as transition from "../run/transition.js";

/** What an attempt does; a failing one may succeed when it is tried again. */
type Behaviour = "succeed" | "fail" | "skip" | "fail-once";

/** A task of a random pipeline. It may come after any task before it. */
export interface RandomTask {
  readonly kind: "task" | "map" | "branch";
  readonly rule: TriggerRule;
  readonly allowFailure: boolean;
  readonly upstream: readonly { readonly from: number; readonly choice: string | undefined }[];
  /** Of the task, or of the items of a map; taken in turn. */
  readonly behaviours: readonly Behaviour[];
  /** Of a map: how many items. */
  readonly items: number;
  /** Of a branch: what it chooses. */
  readonly choice: string;
}

const CHOICES = ["left", "right", "nowhere"] as const;

/** Pipelines of up to `size` tasks of every kind under every rule, with branches inside branches. */
export function randomTasks(size: number): fc.Arbitrary<readonly RandomTask[]> {
  const raw = fc.record({
    kind: fc.constantFrom<RandomTask["kind"]>("task", "task", "task", "map", "branch"),
    rule: fc.oneof(fc.constant<TriggerRule>("all-success"), fc.constantFrom(...TRIGGER_RULES)),
    allowFailure: fc.boolean(),
    edges: fc.array(fc.record({ back: fc.nat(), choice: fc.option(fc.constantFrom(...CHOICES)) }), { maxLength: 4 }),
    behaviours: fc.array(fc.constantFrom<Behaviour>("succeed", "succeed", "fail", "skip", "fail-once"), {
      minLength: 1,
      maxLength: 4,
    }),
    items: fc.nat({ max: 4 }),
    choice: fc.constantFrom(...CHOICES),
  });
  return fc.array(raw, { minLength: 1, maxLength: size }).map((tasks) =>
    tasks.map(({ edges, ...task }, position) => ({
      ...task,
      upstream: (position === 0 ? [] : edges).map(({ back, choice }) => {
        const from = back % position;
        return { from, choice: tasks[from]!.kind === "branch" ? (choice ?? undefined) : undefined };
      }),
    })),
  );
}

export function randomPipeline(tasks: readonly RandomTask[], failWhen: "any" | "leaves" = "any"): Pipeline {
  return pipeline("random", { failWhen }, (p) => {
    const nodes: Node<unknown>[] = [];
    for (const [position, { kind, rule, allowFailure, upstream }] of tasks.entries()) {
      const after = upstream.map(({ from, choice }) =>
        choice === undefined ? nodes[from]! : (nodes[from] as TaskHandle).when(choice),
      );
      const options = { after, triggerRule: rule, allowFailure };
      const id = `t${position}`;
      if (kind === "map") nodes.push(p.map(id, { ...options, over: [] as number[] }, () => 1));
      else if (kind === "branch") nodes.push(p.branch(id, options, () => "left"));
      else nodes.push(p.task(id, options, () => 1));
    }
  });
}

/** One thing to do next in a run, by its place among all that could be done. */
export interface Step {
  readonly pick: number;
  readonly move: "finish" | "start" | "cancel-task" | "stop";
}

export function randomSteps(moves: readonly Step["move"][]): fc.Arbitrary<readonly Step[]> {
  const step = fc.record({ pick: fc.nat({ max: 1_000 }), move: fc.constantFrom(...moves) });
  return fc.array(step, { maxLength: 60 });
}

/** What a test may look at between two transitions. */
export interface Observer {
  finished?(task: number, status: TaskStatus, choice: string | undefined): void;
  stopped?(): void;
  changed?(): void;
}

/** Does to a run's state what an engine would, in the order a test chooses. */
export class RunDriver {
  readonly state: RunState;
  readonly #tasks: readonly RandomTask[];
  readonly #observer: Observer;
  readonly effects = noEffects();
  /** Instances the transitions asked to start or to expand, once for each time. */
  readonly asked: number[] = [];

  constructor(tasks: readonly RandomTask[], state: RunState, observer: Observer = {}) {
    this.#tasks = tasks;
    this.state = state;
    this.#observer = observer;
  }

  begin(): void {
    transition.begin(this.state, this.effects);
    this.#changed();
  }

  get isOver(): boolean {
    return this.state.open === 0;
  }

  do({ pick, move }: Step): void {
    const open = this.#open();
    if (open.length === 0) return;
    const instance = open[pick % open.length]!;
    if (move === "finish") this.#advance(instance);
    else if (move === "start") this.#start(instance);
    else if (move === "cancel-task") this.#cancel(pick % this.#tasks.length);
    else this.#stop();
  }

  /** Goes on in an order that depends on `pick` alone until all tasks have finished. */
  finish(pick: number): void {
    for (let step = 0; !this.isOver; step++) {
      if (this.#open().length === 0) throw new Error("nothing can be done any more, and tasks are left");
      this.do({ pick: pick * 31 + step * 7, move: "finish" });
    }
  }

  /** What storage keeps of the run at this moment. */
  records(): readonly TaskRecord[] {
    const records: TaskRecord[] = [];
    for (let instance = 0; instance < this.state.instances; instance++) {
      const status = this.state.status[instance]!;
      const isUntouched = status === PENDING || (status === READY && this.state.attempts[instance] === 0);
      if (!isUntouched) records.push(taskRecord("run", this.state, instance, undefined, undefined, {}));
    }
    return records.sort((a, b) => a.position - b.position || (a.index[0] ?? -1) - (b.index[0] ?? -1));
  }

  choiceOf(position: number): string {
    return this.#tasks[position]!.choice;
  }

  /** What can be done next, in an order that does not depend on when maps were expanded. */
  #open(): number[] {
    const { state } = this;
    const key = (instance: number) => state.positionOf(instance) * 100 + this.#item(instance);
    const open: number[] = [];
    for (let instance = 0; instance < state.instances; instance++) {
      const status = state.status[instance]!;
      if ((status === READY || status === RUNNING || status === RETRYING) && !state.expansions.has(instance)) {
        open.push(instance);
      }
    }
    return open.sort((a, b) => key(a) - key(b));
  }

  #item(instance: number): number {
    const expansion = this.state.expansionOf(instance);
    return expansion === undefined ? 0 : instance - expansion.base;
  }

  #start(instance: number): void {
    if (this.state.status[instance] !== READY || this.#isUnexpanded(instance)) return;
    transition.start(this.state, instance);
    this.#changed();
  }

  #isUnexpanded(instance: number): boolean {
    return this.#tasks[instance]?.kind === "map" && !this.state.expansions.has(instance);
  }

  /** Brings an instance to the end of its next attempt, or expands it. */
  #advance(instance: number): void {
    const { state } = this;
    if (this.#isUnexpanded(instance)) return this.#expand(instance);
    if (state.status[instance] === RETRYING) transition.retryNow(state, instance);
    if (state.status[instance] === READY) transition.start(state, instance);
    const task = state.positionOf(instance);
    const { behaviours, kind, choice } = this.#tasks[task]!;
    const behaviour = behaviours[this.#item(instance) % behaviours.length]!;
    if (behaviour === "fail-once" && state.countedAttempts(instance) === 1) {
      transition.retryLater(state, instance, 1);
      return this.#changed();
    }
    const chosen = kind === "branch" ? choice : undefined;
    if (behaviour === "fail") transition.fail(state, instance, this.effects);
    else if (behaviour === "skip") transition.skip(state, instance, this.effects);
    else transition.succeed(state, instance, this.effects, chosen);
    this.#ended(task);
  }

  #expand(task: number): void {
    transition.expand(this.state, task, this.#tasks[task]!.items, this.effects);
    this.#ended(task);
  }

  #ended(task: number): void {
    const { state } = this;
    if (isFinal(state.status[task]!)) {
      this.#observer.finished?.(task, state.statusOf(task), state.choices.get(task));
    }
    this.#changed();
  }

  #cancel(task: number): void {
    const wasFinal = isFinal(this.state.status[task]!);
    transition.cancelInstance(this.state, task, this.effects);
    if (!wasFinal && isFinal(this.state.status[task]!)) this.#ended(task);
    this.#abort();
  }

  #stop(): void {
    const before = Array.from(this.#tasks, (_, task) => isFinal(this.state.status[task]!));
    if (this.state.stopping !== undefined) return;
    this.#observer.stopped?.();
    transition.stop(this.state, "cancelled", this.effects);
    for (const [task, wasFinal] of before.entries()) {
      if (!wasFinal && isFinal(this.state.status[task]!)) {
        const status = this.state.expansions.has(task) ? this.state.statusOf(task) : "cancelled";
        this.#observer.finished?.(task, status, undefined);
      }
    }
    this.#abort();
  }

  #abort(): void {
    for (const instance of this.effects.abort.splice(0)) {
      transition.cancelled(this.state, instance, this.effects);
      const task = this.state.positionOf(instance);
      if (isFinal(this.state.status[task]!)) {
        this.#observer.finished?.(task, this.state.statusOf(task), undefined);
      }
    }
    this.#changed();
  }

  #changed(): void {
    this.asked.push(...this.effects.ready.splice(0), ...this.effects.expand.splice(0));
    this.#observer.changed?.();
  }
}
