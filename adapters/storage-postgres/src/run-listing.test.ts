import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RUN_STATUSES, type RunQuery, type RunRecord, type RunStatus, type Storage } from "weftline";
import { openStorage } from "./test-support/database.js";
import { changes, flush, newRun, register, runState, START } from "./test-support/records.js";

const RUNS = 80;
const PIPELINES = ["p", "q"];
const DEFINITIONS = ["d1", "d2"];
const TAGS = ["a", "b", "c"];
const OWNERS = ["engine-1", "engine-2"];

/** Runs of every kind, the oldest first; several are of the same moment. */
async function createAll(storage: Storage): Promise<readonly RunRecord[]> {
  for (const id of OWNERS) await register(storage, id);
  const pick = <Item>(items: readonly Item[], n: number) => items[n % items.length]!;
  const runs = Array.from({ length: RUNS }, (_, n) =>
    newRun(`run-${n}`, {
      pipeline: pick(PIPELINES, n),
      definition: pick(DEFINITIONS, n >> 1),
      tags: TAGS.filter((_, place) => (n >> place) & 1),
      key: n % 5 === 0 ? `key-${n % 3}-${n}` : undefined,
      parent: n % 7 === 3 ? { runId: `run-${n % 4}`, task: "t", index: [] } : undefined,
      createdAt: START + (n >> 1),
      availableAt: START + (n % 6 === 0 ? 1_000_000 : 0),
      owner: n % 3 === 0 ? undefined : pick(OWNERS, n),
    }),
  );
  await storage.createRuns(runs);
  for (const engineId of OWNERS) {
    const owned = runs.filter(({ owner }) => owner === engineId);
    const states = owned.map(({ id }, place) => changes(id, { run: runState(pick(RUN_STATUSES, place)) }));
    await storage.commit({ ...flush(...states), engineId });
  }
  const records: RunRecord[] = [];
  for (const { id } of runs) records.push((await storage.getRun(id))!);
  return records;
}

function matches(record: RunRecord, query: RunQuery): boolean {
  const { pipeline, status, key, tag, parent, owner, definition, since, until } = query;
  return (
    (pipeline === undefined || record.pipeline === pipeline) &&
    (status === undefined || status.includes(record.status)) &&
    (key === undefined || record.key === key) &&
    (tag === undefined || record.tags.includes(tag)) &&
    (parent === undefined || record.parent?.runId === parent) &&
    (owner === undefined || record.owner === owner) &&
    (definition === undefined || record.definition === definition) &&
    (since === undefined || record.createdAt >= since) &&
    (until === undefined || record.createdAt < until)
  );
}

const FIELDS = {
  pipeline: fc.constantFrom(...PIPELINES, ...PIPELINES, "none"),
  status: fc.oneof(
    fc.subarray([...RUN_STATUSES] as RunStatus[], { minLength: 1 }),
    fc.subarray<RunStatus>(["failed", "cancelled", "quarantined"], { minLength: 1 }),
    fc.subarray<RunStatus>(["queued", "running", "waiting", "paused"], { minLength: 1 }),
    fc.constantFrom<RunStatus[]>(["succeeded"], []),
  ),
  key: fc.constantFrom("key-0-0", "key-2-35", "none"),
  tag: fc.constantFrom(...TAGS, ...TAGS, "none"),
  parent: fc.constantFrom("run-0", "run-3", "none"),
  owner: fc.constantFrom(...OWNERS, ...OWNERS, "none"),
  definition: fc.constantFrom(...DEFINITIONS, ...DEFINITIONS, "none"),
  since: fc.integer({ min: START - 1, max: START + RUNS / 2 }),
  until: fc.integer({ min: START - 1, max: START + RUNS / 2 }),
};

/** Of few fields each, or hardly any run would match. */
const query: fc.Arbitrary<RunQuery> = fc
  .subarray(Object.keys(FIELDS) as (keyof typeof FIELDS)[], { maxLength: 3 })
  .chain((names) => fc.record(Object.fromEntries(names.map((name) => [name, FIELDS[name]]))) as fc.Arbitrary<RunQuery>);

describe("list() of runs", () => {
  it("gives what matches, newest first and in pages of every size, whatever is asked for together", async () => {
    const { storage } = await openStorage();
    const records = await createAll(storage);
    await fc.assert(
      fc.asyncProperty(query, fc.constantFrom(1, 3, 100), async (wanted, limit) => {
        const expected = records.filter((record) => matches(record, wanted)).reverse();
        const found: RunRecord[] = [];
        let cursor: string | undefined;
        do {
          const page = await storage.list("runs", wanted, { limit, ...(cursor !== undefined && { cursor }) });
          found.push(...page.items);
          cursor = page.next;
        } while (cursor !== undefined);
        expect(found).toEqual(expected);
      }),
      { numRuns: 600 },
    );
  }, 60_000);
});
