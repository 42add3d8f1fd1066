import type { TaskOutcome } from "../contracts/executor.js";
import type { RejectedValue } from "../contracts/storage.js";
import { WeftlineError } from "../errors.js";
import { toErrorRecord } from "../values/error-record.js";
import type { ActiveRun } from "./active-run.js";
import type { LiveAttempt } from "./attempt.js";
import type { EngineCore } from "./engine-core.js";
import type { Ownership } from "./ownership.js";

/** The values of one run that the store refused: each fails its own task, and nothing else is lost. */
export class Refusals {
  readonly #run: ActiveRun;
  readonly #values: readonly RejectedValue[];

  constructor(run: ActiveRun, values: readonly RejectedValue[]) {
    this.#run = run;
    this.#values = values;
  }

  concern(task: string, index: readonly number[]): boolean {
    return this.#find(task, index) !== undefined;
  }

  /** What counts as the outcome of an ended attempt now. */
  outcome(attempt: LiveAttempt, outcome: TaskOutcome): TaskOutcome {
    const task = this.#run.state.plan.tasks[attempt.position]!.id;
    const refused = this.#find(task, attempt.index);
    if (refused === undefined) return outcome;
    const error = new WeftlineError(
      "VALUE_REJECTED",
      `the store cannot keep what task "${task}" produced: ${refused.message}. Return something it can keep, then resume the run.`,
    );
    return { kind: "failed", error: toErrorRecord(error), retryable: false, retryAfterMs: undefined };
  }

  #find(task: string, index: readonly number[]): RejectedValue | undefined {
    return this.#values.find((value) => value.task === task && String(value.index) === String(index));
  }
}

/** Takes a run up again from what is durable, after the store refused some of its values. Its attempts run on meanwhile. */
export function reloadRejected(
  former: ActiveRun,
  values: readonly RejectedValue[],
  ownership: Ownership,
  core: EngineCore,
): void {
  core.log.error({ runId: former.id, values }, "the store refused values of a run; their tasks fail");
  const attempt = (): void => {
    ownership.takeUpAgain(former).then(
      (again) => again?.run.takeOver(former, new Refusals(former, values), again.messages),
      (error: unknown) => {
        core.log.warn({ runId: former.id, error }, "a run could not be loaded again; trying once more");
        ownership.later(attempt);
      },
    );
  };
  attempt();
}
