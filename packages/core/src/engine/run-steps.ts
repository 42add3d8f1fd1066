import type { StepRecord } from "../contracts/records.js";
import type { RunState } from "../run/state.js";
import type { Encoded } from "../values/codec.js";

/** The outputs of the steps that tasks of one run have done. */
export class RunSteps {
  readonly #state: RunState;
  /** By instance, where there are any. */
  readonly #done = new Map<number, Map<string, Encoded>>();

  constructor(state: RunState) {
    this.#state = state;
  }

  /** After a takeover: the steps of the tasks' current generations. */
  restore({ task, index, generation, step, output }: StepRecord): void {
    const position = this.#state.plan.positions.get(task);
    const instance = position === undefined ? undefined : this.#state.instanceAt(position, index);
    if (instance !== undefined && this.#state.generationOf(instance) === generation) this.keep(instance, step, output);
  }

  find(instance: number, step: string): Encoded | undefined {
    return this.#done.get(instance)?.get(step);
  }

  keep(instance: number, step: string, output: Encoded): void {
    const done = this.#done.get(instance) ?? new Map<string, Encoded>();
    this.#done.set(instance, done.set(step, output));
  }

  /** A run that is taken up again: the steps of its tasks that may not be in storage yet. */
  keepThoseOf(former: RunSteps, isRefused: (instance: number) => boolean): void {
    for (const [instance, done] of former.#done) {
      const state = former.#state;
      const place = this.#state.instanceAt(state.positionOf(instance), state.indexOf(instance));
      if (
        place === undefined ||
        isRefused(instance) ||
        this.#state.generationOf(place) !== state.generationOf(instance)
      )
        continue;
      for (const [step, output] of done) this.keep(place, step, output);
    }
  }

  /** Its task has succeeded, or begins a new generation: nobody asks for them any more. */
  forget(instance: number): void {
    if (this.#done.size > 0) this.#done.delete(instance);
  }
}
