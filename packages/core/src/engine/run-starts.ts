import { READY } from "../run/state.js";
import * as transition from "../run/transition.js";
import type { Encoded } from "../values/codec.js";
import { toErrorRecord } from "../values/error-record.js";
import type { RunGroups } from "./run-groups.js";
import type { RunLanes } from "./run-lanes.js";
import type { RunHost, RunParts } from "./run-parts.js";
import type { RunWaits } from "./run-waits.js";

/** What starting asks of its run beside what all parts do. */
export interface StartsHost extends RunHost {
  readonly status: string;
  readonly isClosed: boolean;
  /** Something starts: a run that waited does so no more. */
  startsNow(): void;
  /** Everything has been started: what is left may be waiting. */
  waitsNow(): void;
}

/** Starts what is ready in one run: attempts by the dispatcher, waits and lists at once; or holds it back while it is paused. */
export class RunStarts {
  readonly #run: RunParts;
  readonly #host: StartsHost;
  readonly #parts: { readonly waits: RunWaits; readonly groups: RunGroups; readonly lanes: RunLanes };
  /** What may start when the run is not paused any more. */
  readonly #heldBack = { ready: [] as number[], expand: [] as number[] };
  /** What may start is being started: the run does not wait, whatever part of it does already. */
  isStarting = false;

  constructor(run: RunParts, host: StartsHost, parts: { waits: RunWaits; groups: RunGroups; lanes: RunLanes }) {
    this.#run = run;
    this.#host = host;
    this.#parts = parts;
  }

  /** The dispatcher would have started it, but the run is paused. */
  holdBack(instance: number): void {
    this.#heldBack.ready.push(instance);
  }

  /** The run is not paused any more. */
  startHeldBack(): void {
    this.start(this.#heldBack.ready.splice(0), this.#heldBack.expand.splice(0));
  }

  /** Instances may start, and lists be read: the run is not paused, and what led to it is durable. */
  start(ready: readonly number[], expand: readonly number[]): void {
    if (ready.length === 0 && expand.length === 0) return;
    if (this.#host.status === "paused") {
      for (const instance of ready) this.#heldBack.ready.push(instance);
      for (const list of expand) this.#heldBack.expand.push(list);
      return;
    }
    this.#host.startsNow();
    this.isStarting = true;
    for (const list of expand) this.#expand(list);
    const { plan, waits } = this.#run.state;
    const attempts =
      plan.hasWaits || waits.size > 0 ? ready.filter((instance) => !this.#beginsToWait(instance)) : ready;
    if (attempts.length > 0) this.#parts.lanes.enqueue(attempts);
    this.isStarting = false;
    this.#host.waitsNow();
  }

  #beginsToWait(instance: number): boolean {
    return this.#run.state.status[instance] === READY && this.#parts.waits.begin(instance);
  }

  #expand(list: number): void {
    if (this.#host.isClosed || this.#run.state.status[list] !== READY) return;
    this.#expandState(list);
    const expansion = this.#run.state.expansions.get(list);
    if (expansion === undefined || expansion.count === 0) return this.#host.afterTransition();
    if (expansion.stride === 1) {
      this.#parts.lanes.enqueue(Array.from({ length: expansion.count }, (_, item) => expansion.base + item));
    } else this.#parts.groups.advance(list);
    this.#host.afterTransition();
  }

  #expandState(list: number): void {
    const items = this.#readItems(list);
    if (items === undefined) return;
    this.#run.state.firstStartAt.set(list, this.#run.core.clock.now());
    transition.expand(this.#run.state, list, items.length, this.#run.effects, this.#run.outputs.listToKeep(list));
    this.#run.recorder.expanded(list, items.length);
  }

  /** The lists around a task whose attempt goes on although what led to it was refused. */
  expandAround(position: number, index: readonly number[]): void {
    for (let level = 0; level < index.length; level++) {
      const { parent, tasks } = this.#run.state.plan;
      const lists: number[] = tasks[position]!.isMapped && tasks[position]!.kind === "map" ? [position] : [];
      for (let group = parent[position]!; group >= 0; group = parent[group]!)
        if (tasks[group]!.isMapped) lists.unshift(group);
      const owner = this.#run.state.instanceAt(lists[level]!, index.slice(0, level));
      if (owner !== undefined && !this.#run.state.expansions.has(owner)) this.#expandState(owner);
    }
  }

  /** @returns `undefined` when there is no usable list, and the map failed for that. */
  #readItems(list: number): readonly Encoded[] | undefined {
    try {
      return this.#run.outputs.list(list);
    } catch (thrown) {
      transition.fail(this.#run.state, list, this.#run.effects);
      this.#run.recorder.settled(list, { error: toErrorRecord(thrown) });
      const task = this.#run.state.plan.tasks[this.#run.state.positionOf(list)]!;
      if (!task.policy.allowFailure) this.#host.failedForGood(list);
      return undefined;
    }
  }

  /** After a takeover or a resume: what is ready already waits for no transition. */
  queueRestored(): void {
    const { state } = this.#run;
    state.forEach((instance, position) => {
      if (state.status[instance] !== READY) return;
      const { kind, isMapped } = state.plan.tasks[position]!;
      if (!isMapped || (kind === "map" && state.isItem(instance))) this.#run.effects.ready.push(instance);
      else if (!state.isItem(instance)) this.#run.effects.expand.push(instance);
    });
    for (const { owner, stride } of [...state.expansions.values()]) if (stride > 1) this.#parts.groups.advance(owner);
  }
}
