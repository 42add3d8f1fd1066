import { readFileSync } from "node:fs";
import { checkHistory, historiesOf, type WitnessLine } from "@weftline/testing";
import type { Storage } from "weftline";
import { type WitnessEntry, WORK_UNITS } from "./work.js";

export interface Verdict {
  readonly runs: number;
  /** Tasks and items that did their work more than once, none of them after its end was confirmed. */
  readonly repeated: number;
  /** What must not be, in words. */
  readonly violations: readonly string[];
}

/** To read all that is stored of a run takes longer than to make it, so that not every history is read. */
const HISTORIES = 15;

interface Unit {
  starts: number;
  ends: number;
  confirmed: number;
}

/**
 * Judges runs that were triggered, each with a key of its own, from what the store and the tasks themselves say: each
 * key has one run, which succeeded; each of its tasks did its work and succeeded once; none that was confirmed ran again.
 */
export async function judge(storage: Storage, witness: string, runs: ReadonlyMap<string, string>): Promise<Verdict> {
  const violations: string[] = [];
  const ids = new Set(runs.values());
  const units = readUnits(witness, ids, violations);
  for (const [key, id] of runs) violations.push(...(await wrongInStore(storage, key, id)));
  violations.push(...(await wrongInHistory(storage, witness, evenly([...ids], HISTORIES))));
  for (const id of ids) {
    const own = units.get(id) ?? new Map<string, Unit>();
    if (own.size !== WORK_UNITS)
      violations.push(`run ${id}: ${own.size} of ${WORK_UNITS} tasks and items did their work`);
    for (const [name, { ends, confirmed }] of own) {
      if (ends === 0) violations.push(`run ${id}: nobody saw the end of ${name}`);
      if (confirmed > 1) violations.push(`run ${id}: ${name} was confirmed ${confirmed} times`);
    }
  }
  const all = [...units.values()].flatMap((own) => [...own.values()]);
  return { runs: ids.size, repeated: all.filter(({ starts }) => starts > 1).length, violations };
}

function entriesOf(witness: string): readonly WitnessEntry[] {
  const lines = readFileSync(witness, "utf8").split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line) as WitnessEntry);
}

function readUnits(witness: string, ids: ReadonlySet<string>, violations: string[]): Map<string, Map<string, Unit>> {
  const units = new Map<string, Map<string, Unit>>();
  for (const { phase, run, task, index, attempt } of entriesOf(witness)) {
    // Sleeps and maps are confirmed, and do nothing that could be witnessed.
    if (!ids.has(run) || task === "nap" || (task === "each" && index.length === 0)) continue;
    const own = units.get(run) ?? new Map<string, Unit>();
    units.set(run, own);
    const name = `${task}[${index}]`;
    const unit = own.get(name) ?? { starts: 0, ends: 0, confirmed: 0 };
    own.set(name, unit);
    if (phase === "start" && unit.confirmed > 0) {
      violations.push(`run ${run}: attempt ${attempt} of ${name} began after its end was confirmed`);
    }
    unit[phase === "start" ? "starts" : phase === "end" ? "ends" : "confirmed"]++;
  }
  return units;
}

async function wrongInStore(storage: Storage, key: string, id: string): Promise<readonly string[]> {
  const wrong: string[] = [];
  const { items: ofKey } = await storage.list("runs", { key }, { limit: 10 });
  if (ofKey.length !== 1) wrong.push(`key ${key}: ${ofKey.length} runs`);
  const run = ofKey.find((other) => other.id === id);
  if (run === undefined) return [...wrong, `key ${key}: its caller was told of run ${id}, which is not there`];
  if (run.status !== "succeeded") wrong.push(`run ${id}: its status is ${run.status}`);
  const { items: attempts } = await storage.list("attempts", { runId: id }, { limit: 1_000 });
  const successes = attempts
    .filter(({ status }) => status === "succeeded")
    .map(({ task, index }) => `${task}[${index}]`);
  const once = new Set(successes);
  if (once.size !== WORK_UNITS)
    wrong.push(`run ${id}: the successes of ${once.size} of ${WORK_UNITS} tasks and items are recorded`);
  if (successes.length !== once.size) wrong.push(`run ${id}: a task succeeded twice: ${successes.join(", ")}`);
  return wrong;
}

/** Some of them, from the first to the last. */
function evenly<Item>(all: readonly Item[], count: number): readonly Item[] {
  const step = Math.max(1, all.length / count);
  return Array.from({ length: Math.min(count, all.length) }, (_, n) => all[Math.floor(n * step)]!);
}

/** The second opinion, of somebody who has a model of the engine's rules. */
async function wrongInHistory(storage: Storage, witness: string, ids: readonly string[]): Promise<readonly string[]> {
  const { history, runs, shapes } = await historiesOf(storage, ids);
  const ours = new Set(ids);
  const lines = entriesOf(witness).filter(({ run, phase }) => phase !== "confirmed" && ours.has(run));
  const verdict = checkHistory({
    source: "stored",
    history,
    witness: lines.map(({ run, phase, ...rest }) => ({ ...rest, runId: run, phase }) as WitnessLine),
    clients: [],
    faults: [],
    shapes,
    final: { at: Date.now(), runs },
  });
  if (verdict.checked.every(({ times }) => times === 0)) return ["the history checker checked nothing"];
  return verdict.violations.map(({ invariant, runId, why }) => `run ${runId}: invariant ${invariant}: ${why}`);
}
