import type { Page, PageRequest, TaskQuery, TaskRecord } from "../contracts/records.js";
import type { Storage } from "../contracts/storage.js";
import type { Pipeline } from "../define/pipeline.js";
import { cursorInvalid } from "./errors.js";
import { withoutLeftBehind } from "./left-behind.js";
import { everyRecord } from "./paging.js";

const PREFIX = "pending:";

/**
 * Storage has no record of a task that nothing happened to yet, so those are added behind the recorded ones.
 *
 * @returns `undefined` when the page asked for is one of storage's own and not its last.
 */
export async function pendingRecords(
  storage: Storage,
  runId: string,
  pipeline: Pipeline | undefined,
  query: Omit<TaskQuery, "runId">,
  page: PageRequest,
): Promise<Page<TaskRecord> | undefined> {
  if (pipeline === undefined) return undefined;
  if (page.cursor?.startsWith(PREFIX)) {
    return pendingPage(storage, runId, pipeline, query, readPosition(page.cursor), page.limit);
  }
  const listed = await storage.list("tasks", { ...query, runId }, page);
  const recorded = await withoutLeftBehind(storage, pipeline.plan, { ...query, runId }, listed);
  if (recorded.next !== undefined) return recorded;
  const room = page.limit - recorded.items.length;
  const pending = await pendingPage(storage, runId, pipeline, query, 0, room);
  return { items: [...recorded.items, ...pending.items], next: pending.next };
}

function readPosition(cursor: string): number {
  const position = cursor.slice(PREFIX.length);
  if (/^\d{1,9}$/.test(position)) return Number(position);
  throw cursorInvalid(cursor);
}

async function pendingPage(
  storage: Storage,
  runId: string,
  { plan }: Pipeline,
  query: Omit<TaskQuery, "runId">,
  from: number,
  limit: number,
): Promise<Page<TaskRecord>> {
  if (query.status && !query.status.includes("pending")) return { items: [], next: undefined };
  if (query.generation !== undefined) return { items: [], next: undefined };
  const recorded = new Set<number>();
  const pages = everyRecord((request) => storage.list("tasks", { runId }, request));
  for await (const record of pages) if (record.index.length === 0) recorded.add(record.position);
  const items: TaskRecord[] = [];
  for (let position = from; position < plan.tasks.length; position++) {
    const { id } = plan.tasks[position]!;
    // Tasks inside a mapped group are there once for each item, as soon as it has any.
    if (recorded.has(position) || plan.depth[position]! > 0 || (query.task !== undefined && query.task !== id))
      continue;
    if (items.length === limit) return { items, next: `${PREFIX}${position}` };
    items.push(pendingRecord(runId, id, position));
  }
  return { items, next: undefined };
}

function pendingRecord(runId: string, task: string, position: number): TaskRecord {
  return {
    runId,
    task,
    position,
    index: [],
    generation: 1,
    status: "pending",
    attempts: 0,
    attemptsBefore: 0,
    startedAt: undefined,
    finishedAt: undefined,
    retryAt: undefined,
    wait: undefined,
    output: undefined,
    error: undefined,
    reason: undefined,
    warning: undefined,
    cachedFrom: undefined,
    items: undefined,
    list: undefined,
  };
}
