import { createHash } from "node:crypto";
import { type Cursor, type Engine, type Page, type PageOptions, taskName } from "weftline";

/** What differs from run to run, or from machine to machine. */
const OF_ITS_TIME = new Set([
  ...["runId", "id", "engineId", "stack", "cachedFrom", "crashes"],
  ...["at", "createdAt", "availableAt", "startedAt", "finishedAt", "deadlineAt", "retryAt", "until"],
]);
/** What users put there is compared as it is. */
const VALUES = new Set(["output", "data", "params"]);
/** Of another run, such as a sub-pipeline's. */
const OTHER_RUN = /\b[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[\da-f]{4}-[\da-f]{12}\b/g;
/** What an executor that can use force says before it does. */
export const OF_EXECUTOR = /^told to stop, with \d+ ms to do so/;

interface Told {
  readonly task: string;
  readonly index: readonly number[];
  readonly generation: number;
  readonly attempt: number;
}

/** All there is to know of a run, without ids and times: equal for two runs in which the same happened. */
export async function historyOf(engine: Engine, runId: string) {
  const { runs } = engine;
  const logs = await all((page) => runs.logs(runId, {}, page));
  const artifacts = await all((page) => runs.artifacts(runId, {}, page));
  const history = {
    run: await runs.get(runId),
    tasks: await all((page) => runs.tasks(runId, {}, page)),
    attempts: await all((page) => runs.attempts(runId, {}, page)),
    logs: byAttempt(logs.filter(({ message }) => !OF_EXECUTOR.test(message))),
    metrics: byAttempt(await all((page) => runs.metrics(runId, {}, page))),
    artifacts: byAttempt(await Promise.all(artifacts.map(async (info) => ({ ...info, sha: await shaOf(info.name) })))),
    steps: byAttempt(await all((page) => runs.steps(runId, {}, page))),
    assets: byAttempt(await all((page) => runs.assets(runId, {}, page))),
  };
  return timeless(history, runId) as typeof history;

  async function shaOf(name: string): Promise<string> {
    const { data } = (await runs.artifact(runId, name))!;
    return createHash("sha256").update(data).digest("hex");
  }
}

/** Every record of a listing. */
export async function all<Item>(list: (page: PageOptions) => Promise<Page<Item>>): Promise<readonly Item[]> {
  const items: Item[] = [];
  for (let cursor: Cursor | undefined, isMore = true; isMore; isMore = cursor !== undefined) {
    const page = await list({ limit: 1_000, ...(cursor !== undefined && { cursor }) });
    items.push(...page.items);
    cursor = page.next;
  }
  return items;
}

/** Each attempt's own in its order: what attempts say at the same time comes in any order. */
function byAttempt<Line extends Told>(lines: readonly Line[]): readonly Line[] {
  const place = ({ task, index, generation, attempt }: Line) =>
    [
      taskName(
        task,
        index.map((n) => n + 1_000),
      ),
      generation,
      attempt,
    ].join(" ");
  return lines.toSorted((a, b) => (place(a) < place(b) ? -1 : place(a) > place(b) ? 1 : 0));
}

/** @param isValue - Whether nothing is left out. */
function timeless(value: unknown, runId: string, isValue = false): unknown {
  if (typeof value === "string") return value.replaceAll(runId, "<run>").replace(OTHER_RUN, "<other run>");
  if (Array.isArray(value)) return value.map((element) => timeless(element, runId, isValue));
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => isValue || !OF_ITS_TIME.has(key))
      .map(([key, member]) => [key, timeless(member, runId, isValue || VALUES.has(key))]),
  );
}
