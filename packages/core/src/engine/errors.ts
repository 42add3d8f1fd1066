import type { RunRecord } from "../contracts/records.js";
import { show } from "../define/show.js";
import { WeftlineError } from "../errors.js";
import { asText } from "../execute/as-text.js";
import { describeError, type ErrorRecord } from "../values/error-record.js";

/** One task or item that failed for good. */
export interface TaskFailure {
  readonly task: string;
  /** Empty for a task, `[3]` for the fourth item of a map. */
  readonly index: readonly number[];
  readonly attempts: number;
  readonly error: ErrorRecord;
}

const MAX_FAILURES_SHOWN = 5;

/** What `result()` throws for a run that failed, or was quarantined: which tasks, how often they were tried, and why. */
export class RunFailedError extends WeftlineError {
  override readonly name: string = "RunFailedError";
  readonly runId: string;
  readonly pipeline: string;
  /** At most the first 100. */
  readonly failures: readonly TaskFailure[];

  constructor(run: Pick<RunRecord, "id" | "pipeline" | "error">, failures: readonly TaskFailure[]) {
    const isQuarantined = run.error?.code === "RUN_QUARANTINED";
    const what = `run ${run.id} of pipeline "${run.pipeline}" ${isQuarantined ? "was quarantined" : "failed"}${run.error ? ` (${run.error.message})` : ""}`;
    const remedy = `Mend the cause, then go on from the point of failure with engine.runs.resume("${run.id}").`;
    super(
      isQuarantined ? "RUN_QUARANTINED" : "RUN_FAILED",
      `${[what, ...describeFailures(failures)].join("\n  ")}${failures.length > 0 ? "\n" : ". "}${remedy}`,
    );
    this.runId = run.id;
    this.pipeline = run.pipeline;
    this.failures = failures;
  }
}

/** What `result()` throws for a run that somebody cancelled. */
export class RunCancelledError extends WeftlineError {
  override readonly name: string = "RunCancelledError";
  readonly runId: string;
  readonly pipeline: string;

  constructor(run: Pick<RunRecord, "id" | "pipeline" | "error">) {
    const why = run.error ? `: ${run.error.message}` : "";
    super("RUN_CANCELLED", `run ${run.id} of pipeline "${run.pipeline}" was cancelled${why}`);
    this.runId = run.id;
    this.pipeline = run.pipeline;
  }
}

/** `train` or `train[3]`, as people write it. @throws {TypeError} For what is no text or no list. */
export function taskName(task: string, index: readonly number[]): string {
  if (typeof task !== "string" || !Array.isArray(index)) {
    throw new TypeError(
      `taskName(task, index) takes a text and a list of numbers, not ${show(task)} and ${show(index)}`,
    );
  }
  return index.length === 0 ? task : `${task}[${index.join("][")}]`;
}

function describeFailures(failures: readonly TaskFailure[]): string[] {
  const lines = failures.slice(0, MAX_FAILURES_SHOWN).map(({ task, index, attempts, error }) => {
    const tries = attempts === 1 ? "1 attempt" : `${attempts} attempts`;
    return `task "${taskName(task, index)}" after ${tries}: ${describeError(error)}`;
  });
  if (failures.length > MAX_FAILURES_SHOWN) lines.push(`and ${failures.length - MAX_FAILURES_SHOWN} more`);
  return lines;
}

export function cursorInvalid(cursor: unknown): WeftlineError {
  return new WeftlineError(
    "CURSOR_INVALID",
    `Cannot go on from cursor "${asText(cursor).slice(0, 60)}". Pass the \`next\` of a page of the same listing, unchanged.`,
  );
}

export function runUnknown(runId: unknown): WeftlineError {
  return new WeftlineError(
    "RUN_UNKNOWN",
    `there is no run ${show(runId)}. It was never created in this storage, or its history was pruned.`,
  );
}

export function engineStoppedFor(what: string): WeftlineError {
  return new WeftlineError(
    "ENGINE_STOPPED",
    `Cannot ${what} as this engine was stopped. Create a new engine on the same storage.`,
  );
}
