import fc from "fast-check";
import { expect, it } from "vitest";
import { memoryStorage, type RunQuery, type RunStatus, type Storage } from "weftline";
import {
  changes,
  ENGINE,
  newFile,
  newRun,
  openStorage,
  register,
  reopen,
  runState,
  START,
} from "./test-support/store.js";

const PIPELINES = ["p", "q", "r"];
const DEFINITIONS = ["a", "b"];
const TAGS = ["x", "y", "z"];
const ENDS = ["running", "waiting", "succeeded", "failed", "cancelled"] as const;

const maybe = <Value>(values: fc.Arbitrary<Value>) => fc.option(values, { nil: undefined, freq: 2 });
const seldom = <Value>(values: fc.Arbitrary<Value>) =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: values });

const run = fc.record({
  pipeline: fc.constantFrom(...PIPELINES),
  definition: fc.constantFrom(...DEFINITIONS),
  tags: fc.subarray(TAGS),
  key: maybe(fc.constantFrom("k", "l")),
  parent: maybe(fc.constantFrom("run-0", "run-1")),
  isOwned: fc.boolean(),
  end: maybe(fc.constantFrom(...ENDS)),
  later: fc.nat(1),
});

const query = fc.record({
  pipeline: maybe(fc.constantFrom(...PIPELINES)),
  definition: maybe(fc.constantFrom(...DEFINITIONS)),
  tag: maybe(fc.constantFrom(...TAGS, "none")),
  key: seldom(fc.constantFrom("k", "l")),
  parent: seldom(fc.constantFrom("run-0", "run-1")),
  owner: seldom(fc.constantFrom(ENGINE, "nobody")),
  status: maybe(fc.subarray<RunStatus>(["queued", ...ENDS])),
  since: seldom(fc.nat(20)),
  until: seldom(fc.nat(20)),
});

function queryOf({ since, until, ...filters }: Record<string, unknown>): RunQuery {
  const moments = {
    since: since === undefined ? undefined : START + Number(since),
    until: until === undefined ? undefined : START + Number(until),
  };
  return Object.fromEntries(Object.entries({ ...filters, ...moments }).filter(([, value]) => value !== undefined));
}

async function ids(storage: Storage, wanted: RunQuery, limit: number): Promise<string[]> {
  const found: string[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await storage.list("runs", wanted, cursor ? { limit, cursor } : { limit });
    found.push(...page.items.map(({ id }) => id));
    cursor = page.next;
    if (cursor === undefined) return found;
  }
}

it("list() of runs finds what it finds in memory, whatever the filters", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(run, { minLength: 1, maxLength: 40 }),
      fc.array(query, { minLength: 10, maxLength: 10 }),
      fc.constantFrom(1, 7, 1_000),
      async (runs, queries, limit) => {
        const sqlite = await openStorage({ file: newFile(), durability: "off" });
        const memory = memoryStorage();
        await reopen(memory);
        for (const storage of [sqlite, memory]) await fill(storage, runs);
        for (const wanted of queries.map(queryOf)) {
          expect(await ids(sqlite, wanted, limit), JSON.stringify(wanted)).toEqual(await ids(memory, wanted, 1_000));
        }
        await sqlite.close();
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);

it("list() of runs fills its pages also where nearly all are of one kind and status", async () => {
  const storage = await openStorage({ file: newFile(), durability: "off" });
  const runs = Array.from({ length: 300 }, (_, n) => newRun(`run-${n}`, { createdAt: START + n, tags: ["x"] }));
  await storage.createRuns(runs);
  const newestFirst = runs.map(({ id }) => id).reverse();
  for (const wanted of [{}, { pipeline: "nightly" }, { tag: "x" }]) {
    expect(await ids(storage, wanted, 200)).toEqual(newestFirst);
  }
});

type Generated = typeof run extends fc.Arbitrary<infer Value> ? Value : never;

async function fill(storage: Storage, runs: readonly Generated[]): Promise<void> {
  await register(storage);
  let createdAt = START;
  const created = runs.map(({ isOwned, parent, end, later, ...details }, n) => {
    createdAt += later;
    const isEngines = isOwned || end !== undefined;
    return newRun(`run-${n}`, {
      ...details,
      createdAt,
      parent: parent === undefined ? undefined : { runId: parent, task: "t", index: [] },
      owner: isEngines ? ENGINE : undefined,
    });
  });
  const results = await storage.createRuns(created);
  const ended = runs.flatMap(({ end }, n) => {
    if (end === undefined || results[n]!.kind !== "created") return [];
    return [changes(`run-${n}`, { run: runState(end) })];
  });
  expect(await storage.commit({ id: "flush", number: 1, engineId: ENGINE, runs: ended })).toEqual({
    kind: "ok",
    fenced: [],
  });
}
