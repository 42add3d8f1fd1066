import type { AttemptRecord, ErrorRecord, ScheduleRecord, TaskRecord, Wait } from "weftline";
import type { AuditRow } from "./change.js";

/** Where an attempt ran. */
export interface Origin {
  readonly engine: string;
  readonly executor: string;
}

/** Reads the columns of a row as what they are known to be. */
export class Columns {
  readonly #row: AuditRow["row"];

  constructor(row: AuditRow["row"]) {
    this.#row = row;
  }

  text(name: string): string {
    return this.#row[name] as string;
  }

  number(name: string): number {
    return this.#row[name] as number;
  }

  /** `undefined` for NULL. */
  maybe<Value extends string | number>(name: string): Value | undefined {
    return (this.#row[name] as Value | null) ?? undefined;
  }

  /** What a column keeps as JSON; `undefined` for NULL. */
  json<Value>(name: string): Value | undefined {
    const text = this.maybe<string>(name);
    return text === undefined ? undefined : (JSON.parse(text) as Value);
  }
}

type Rest = Partial<
  Pick<
    TaskRecord,
    "attemptsBefore" | "retryAt" | "wait" | "error" | "reason" | "warning" | "cachedFrom" | "items" | "list"
  >
>;

/** A task's record from its row. @param rest - What the row keeps as JSON. */
export function taskIn(
  columns: Columns,
  runId: string,
  index: readonly number[],
  rest: Rest & Pick<TaskRecord, "attemptsBefore">,
): TaskRecord {
  const { retryAt, wait, error, reason, warning, cachedFrom, items, list, attemptsBefore } = rest;
  return {
    ...{ runId, index, attemptsBefore, retryAt, error, reason, warning, cachedFrom, items, list },
    task: columns.text("task"),
    position: columns.number("position"),
    generation: columns.number("generation"),
    status: columns.text("status") as TaskRecord["status"],
    attempts: columns.number("attempts"),
    startedAt: columns.maybe("started_at"),
    finishedAt: columns.maybe("finished_at"),
    wait: wait && wholeWait(wait),
    output: columns.maybe("output"),
  };
}

function wholeWait(wait: Wait): Wait {
  return wait.kind === "signal" ? { kind: "signal", key: wait.key } : wait;
}

/** An attempt's record from its row. */
export function attemptIn(
  columns: Columns,
  runId: string,
  index: readonly number[],
  { engine, executor }: Origin,
): AttemptRecord {
  return {
    ...{ runId, index, executor, engineId: engine },
    task: columns.text("task"),
    position: columns.number("position"),
    generation: columns.number("generation"),
    attempt: columns.number("attempt"),
    status: columns.text("status") as AttemptRecord["status"],
    startedAt: columns.number("started_at"),
    finishedAt: columns.maybe("finished_at"),
    error: columns.json<ErrorRecord>("error"),
  };
}

/** The first attempt, which a task's row stands for. */
export function firstAttemptOf(task: TaskRecord, { engine, executor }: Origin): AttemptRecord {
  const { runId, position, index, generation, startedAt, finishedAt } = task;
  return {
    ...{ runId, position, index, generation, finishedAt, executor, engineId: engine, task: task.task },
    ...{ attempt: 1, status: task.status as AttemptRecord["status"], startedAt: startedAt!, error: undefined },
  };
}

/** A schedule from its row. */
export function scheduleIn(columns: Columns): ScheduleRecord {
  return {
    ...{ id: columns.text("id"), pipeline: columns.text("pipeline"), spec: columns.text("spec") },
    ...{ nextAt: columns.maybe<number>("next_at"), lastAt: columns.maybe<number>("last_at") },
  };
}
