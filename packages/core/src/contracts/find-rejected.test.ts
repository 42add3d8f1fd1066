import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  attemptRecord,
  changes,
  flush,
  logRecord,
  runState,
  stepRecord,
  taskRecord,
} from "../defaults/memory/test-records.js";
import { findRejected } from "./find-rejected.js";
import type { Flush, RejectedValue, RunChanges } from "./storage.js";

interface Place {
  readonly runId: string;
  readonly task: string;
  readonly index: readonly number[];
}

const KINDS = ["tasks", "attempts", "logs", "metrics", "artifacts", "steps", "assets"] as const;

function nameOf({ runId, task, index }: Place): string {
  return `${runId}/${task}[${index}]`;
}

/** Everything a part of a flush says of tasks and items. */
function linesOf(part: Flush): readonly Place[] {
  return part.runs.flatMap((run) => KINDS.flatMap((kind) => run[kind] as readonly Place[]));
}

/** A database that refuses whatever one of these places says, and names the first. */
function refusing(bad: ReadonlySet<string>) {
  const tried: Flush[] = [];
  const refusalOf = async (part: Flush) => {
    tried.push(part);
    const line = linesOf(part).find((place) => bad.has(nameOf(place)));
    return line && `cannot keep ${nameOf(line)}`;
  };
  return { tried, refusalOf };
}

/** As many lines of this place as the number says, each of another kind. */
function saying({ runId, ...place }: Place, lines: number): Partial<RunChanges> {
  return {
    tasks: [taskRecord(runId, place)],
    attempts: lines > 1 ? [attemptRecord(runId, place)] : [],
    steps: lines > 2 ? [stepRecord(runId, "s", place)] : [],
    logs: lines > 3 ? [{ ...logRecord(runId, "m"), ...place }] : [],
  };
}

function flushOf(places: readonly Place[], linesAt: (place: number) => number): Flush {
  const runs = new Map<string, RunChanges>();
  for (const [number, place] of places.entries()) {
    const known = runs.get(place.runId) ?? changes(place.runId, 3, { run: runState("running") });
    const added = saying(place, linesAt(number));
    const joined = KINDS.map((kind) => [kind, [...known[kind], ...(added[kind] ?? [])]]);
    runs.set(place.runId, { ...known, ...Object.fromEntries(joined) });
  }
  return flush("a", ...runs.values());
}

const place: fc.Arbitrary<Place> = fc.record({
  runId: fc.constantFrom("r1", "r2", "r3"),
  task: fc.constantFrom("a", "b", "a1"),
  index: fc.array(fc.integer({ min: 0, max: 11 }), { maxLength: 2 }),
});
const places = fc.uniqueArray(place, { selector: nameOf, maxLength: 60 });

describe("findRejected()", () => {
  it("finds exactly the values that are refused, whichever and however many, with few tries for each", async () => {
    const given = fc.record({ places, bad: fc.array(fc.nat(59)), lines: fc.array(fc.integer({ min: 1, max: 4 })) });
    await fc.assert(
      fc.asyncProperty(given, async ({ places, bad, lines }) => {
        const refused = [...new Set(bad.flatMap((number) => places[number] ?? []))];
        const { tried, refusalOf } = refusing(new Set(refused.map(nameOf)));
        const found = await findRejected(
          flushOf(places, (number) => lines[number % lines.length] ?? 1),
          refusalOf,
        );
        const asExpected = (value: Place): RejectedValue => ({ ...value, message: `cannot keep ${nameOf(value)}` });
        const inOrder = (values: readonly RejectedValue[]) =>
          [...values].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
        expect(inOrder(found)).toEqual(inOrder(refused.map(asExpected)));
        const most = 1 + 2 * refused.length * Math.ceil(Math.log2(Math.max(2, places.length)));
        expect(tried.length).toBeLessThanOrEqual(most);
      }),
      { numRuns: 300 },
    );
  });

  it("asks once where nothing is refused, and not at all where there is nothing", async () => {
    const { tried, refusalOf } = refusing(new Set());
    expect(
      await findRejected(
        flushOf([{ runId: "r", task: "a", index: [] }], () => 1),
        refusalOf,
      ),
    ).toEqual([]);
    expect(tried).toHaveLength(1);
    expect(await findRejected(flush("a", changes("r", 1, { run: runState("running") })), refusalOf)).toEqual([]);
    expect(tried).toHaveLength(1);
  });

  it("blames nobody when values are refused together alone", async () => {
    const all = ["a", "b", "c", "d"].map((task) => ({ runId: "r", task, index: [] }));
    const tooMuch = async (part: Flush) => (linesOf(part).length > 2 ? "the statement is too large" : undefined);
    expect(
      await findRejected(
        flushOf(all, () => 1),
        tooMuch,
      ),
    ).toEqual([]);
  });

  it("tries parts that have all a task says, under the run's epoch, and nothing else of the run", async () => {
    const bad = { runId: "r1", task: "a", index: [4] };
    const other = { runId: "r2", task: "a", index: [4] };
    const { tried, refusalOf } = refusing(new Set([nameOf(bad)]));
    const whole = flushOf([other, bad], () => 4);
    await findRejected(whole, refusalOf);
    const alone = tried.find((part) => part.runs.length === 1 && part.runs[0]!.runId === "r1")!;
    expect(alone).toEqual({
      id: alone.id,
      number: whole.number,
      engineId: whole.engineId,
      runs: [{ ...whole.runs[1]!, run: undefined, cached: [], consumed: [] }],
    });
    for (const { id } of tried) expect(id).not.toBe(whole.id);
  });
});
