import { toErrorRecord } from "../values/error-record.js";
import { keyContext } from "./key-context.js";
import { type Gate, Limit } from "./limits.js";
import type { RunHost, RunParts } from "./run-parts.js";
import type { WaitsHost } from "./run-waits.js";

const NO_GATES: readonly Gate[] = Object.freeze([]);

/** What attempts of one run have to pass: the gates of the pipeline, and those of this run's maps and groups alone. */
export class RunGates {
  readonly #run: RunParts;
  readonly #host: RunHost & Pick<WaitsHost, "waitFailed">;
  /** By the instance of a map or group that has a concurrency. */
  readonly #own = new Map<number, Limit>();
  readonly #hasOwn: boolean;

  constructor(run: RunParts, host: RunHost & Pick<WaitsHost, "waitFailed">) {
    this.#run = run;
    this.#host = host;
    this.#hasOwn = run.entry.hasRunLimits;
  }

  /** The gates of an instance that is to start now. It fails when one of its keys cannot be made. */
  of(instance: number): readonly Gate[] {
    try {
      return this.#gatesOf(instance);
    } catch (thrown) {
      // A key that cannot be made will not be made by trying again. The attempt that would start now finds that out.
      this.#host.waitFailed(instance, toErrorRecord(thrown), false);
      return NO_GATES;
    }
  }

  /** The same, for somebody who only looks. */
  peek(instance: number): readonly Gate[] {
    try {
      return this.#gatesOf(instance);
    } catch {
      return NO_GATES;
    }
  }

  #gatesOf(instance: number): readonly Gate[] {
    const { entry, state } = this.#run;
    const gates = entry.gatesOf(state.positionOf(instance), () => keyContext(this.#run, instance));
    return this.#hasOwn ? [...this.#ownGates(instance), ...gates] : gates;
  }

  /** A run that is taken up again goes on with the limits that its running attempts hold. */
  keepThoseOf(former: RunGates): void {
    for (const [instance, limit] of former.#own) this.#own.set(instance, limit);
  }

  #ownGates(instance: number): Limit[] {
    const { state } = this.#run;
    const gates: Limit[] = [];
    for (let at = instance; at >= 0; at = state.parentOf(at)) {
      const { id, kind, isMapped, policy } = state.plan.tasks[state.positionOf(at)]!;
      // Of a mapped group the concurrency says how many items are entered, which is not the dispatcher's to count.
      const isOwn = kind === "map" ? !state.isItem(at) : kind === "group" && !isMapped;
      if (isOwn && policy.concurrency !== undefined)
        gates.push(this.#limitOf(at, policy.concurrency, `${kind} "${id}"`));
    }
    return gates;
  }

  #limitOf(instance: number, concurrency: number, name: string): Limit {
    const limit = this.#own.get(instance) ?? new Limit(concurrency, `concurrency of ${name}`);
    this.#own.set(instance, limit);
    return limit;
  }
}
