import type { AttemptQuery, AttemptRecord, Page, TaskRecord } from "../contracts/records.js";
import type { Storage } from "../contracts/storage.js";
import { WeftlineError } from "../errors.js";
import { toErrorRecord } from "../values/error-record.js";
import { everyRecord } from "./paging.js";

/**
 * A page on which attempts whose engine was lost are `abandoned`. Storage has them as running for good: nobody was left to
 * write how they ended, and the next owner of the run begins another attempt without asking for each that was cut off.
 */
export async function withoutCutOff(
  storage: Storage,
  { runId, status }: AttemptQuery,
  { items, next }: Page<AttemptRecord>,
): Promise<Page<AttemptRecord>> {
  const running = items.filter((attempt) => attempt.status === "running");
  if (running.length === 0) return { items, next };
  const tasks = new Map<string, TaskRecord>();
  for (const task of new Set(running.map((attempt) => attempt.task))) {
    for await (const record of everyRecord((page) => storage.list("tasks", { runId, task }, page))) {
      tasks.set(placeOf(record), record);
    }
  }
  const judged = items.map((attempt) => {
    const isCutOff = attempt.status === "running" && !isLatest(attempt, tasks.get(placeOf(attempt)));
    return isCutOff ? abandoned(attempt) : attempt;
  });
  return { items: status === undefined ? judged : judged.filter((attempt) => status.includes(attempt.status)), next };
}

function placeOf({ task, index }: Pick<TaskRecord, "task" | "index">): string {
  return [task, ...index].join("/");
}

function isLatest({ generation, attempt }: AttemptRecord, task: TaskRecord | undefined): boolean {
  return task?.status === "running" && task.generation === generation && task.attempts === attempt;
}

function abandoned(attempt: AttemptRecord): AttemptRecord {
  const error = new WeftlineError(
    "LEASE_LOST",
    `${attempt.engineId}, the engine that ran this attempt, was lost in the middle of it. The task went on with its next attempt.`,
  );
  const { name, code, message } = toErrorRecord(error);
  return { ...attempt, status: "abandoned", error: { name, message, ...(code !== undefined && { code }) } };
}
