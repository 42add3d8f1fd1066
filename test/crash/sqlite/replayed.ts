import {
  type AttemptRecord,
  type CommitOutcome,
  type CreateResult,
  type Flush,
  isRunFinished,
  type RunMessage,
  type RunRecord,
  type StepRecord,
  type TaskRecord,
} from "weftline";
import { identityOf } from "../stored-runs.js";
import type { Call } from "./failpoint-storage.js";

/** What has to be stored, by the answers that a storage gave: a model of its own, which knows no SQL. */
export class Replayed {
  readonly runs = new Map<string, RunRecord>();
  readonly tasks = new Map<string, TaskRecord>();
  readonly attempts = new Map<string, AttemptRecord>();
  readonly steps = new Map<string, StepRecord>();
  /** Ids of messages that nobody has consumed, with the run they are for. */
  readonly messages = new Map<string, string>();

  apply({ method, args, answer }: Call): void {
    if (method === "createRuns") for (const result of answer as CreateResult[]) this.#created(result);
    if (method === "claimRuns") for (const run of answer as RunRecord[]) this.runs.set(run.id, run);
    if (method === "send") for (const message of args[0] as RunMessage[]) this.messages.set(message.id, message.runId);
    if (method === "releaseLease") this.#released(args[0] as string);
    if (method === "commit") this.#committed(args[0] as Flush, answer as CommitOutcome);
  }

  #created(result: CreateResult): void {
    if (result.kind === "created") this.runs.set(result.run.id, result.run);
  }

  #released(engineId: string): void {
    for (const [id, run] of this.runs) if (run.owner === engineId) this.runs.set(id, { ...run, owner: undefined });
  }

  #committed({ runs, engineId }: Flush, outcome: CommitOutcome): void {
    if (outcome.kind !== "ok") throw new Error(`A commit of ${engineId} was not written: ${JSON.stringify(outcome)}`);
    for (const changes of runs) {
      if (outcome.fenced.includes(changes.runId)) continue;
      for (const task of changes.tasks) this.tasks.set(identityOf(task), task);
      for (const attempt of changes.attempts) this.attempts.set(`${identityOf(attempt)} #${attempt.attempt}`, attempt);
      for (const step of changes.steps) this.steps.set(`${identityOf(step)} ${step.step}`, step);
      for (const id of changes.consumed) this.messages.delete(id);
      if (changes.run) this.#changed(changes.runId, changes.run);
    }
  }

  #changed(runId: string, state: Partial<RunRecord>): void {
    const isFinished = state.status !== undefined && isRunFinished(state.status);
    const run = { ...this.runs.get(runId)!, ...state };
    this.runs.set(runId, isFinished ? { ...run, owner: undefined } : run);
    if (!isFinished) return;
    for (const [id, of] of this.messages) if (of === runId) this.messages.delete(id);
  }
}
