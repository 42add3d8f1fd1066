import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { type Case, isOwn } from "./cases.js";
import { type Entry, Told } from "./entry.js";
import { faultOf, leakOf } from "./oracles.js";
import { World } from "./world.js";

/** A call that did not end as promised. */
export interface Finding {
  readonly entry: string;
  /** The call, by the names of what it was made with. */
  readonly call: string;
  readonly fault: string;
}

export interface FuzzReport {
  readonly calls: number;
  readonly refusals: number;
  readonly findings: readonly Finding[];
}

const SETTLES_WITHIN_MS = 5_000;
const CALLS_PER_PROBE = 25;
/** Of one kind that many are enough. */
const FINDINGS_PER_ENTRY = 5;

/** Calls one entry point `runs` times with whatever the seed brings, and judges each call by all oracles. */
export async function fuzz(
  entry: Entry,
  options: { readonly runs: number; readonly seed: number },
): Promise<FuzzReport> {
  const world = await World.open();
  const escaped: unknown[] = [];
  const onEscaped = (error: unknown) => void escaped.push(error);
  process.on("unhandledRejection", onEscaped);
  const findings: Finding[] = [];
  let refusals = 0;
  let calls = 0;
  try {
    for (const cases of samples(entry, options)) {
      if (findings.length >= FINDINGS_PER_ENTRY) break;
      const outcome = await callOnce(entry, world, cases);
      if (outcome.isRefusal) refusals++;
      const isProbed = ++calls % CALLS_PER_PROBE === 0 || calls === options.runs;
      const fault =
        outcome.fault ?? (isProbed ? await world.fault() : undefined) ?? escapedFault(escaped) ?? toldFault(world);
      if (fault !== undefined) findings.push({ entry: entry.name, call: shown(entry, cases), fault });
    }
  } finally {
    await world.close();
    await sleep(0);
    process.off("unhandledRejection", onEscaped);
  }
  return { calls, refusals, findings: distinct(findings) };
}

function samples({ args }: Entry, { runs, seed }: { readonly runs: number; readonly seed: number }): readonly Case[][] {
  const arbitraries = Object.values(args);
  if (arbitraries.length === 0) return Array.from({ length: runs }, () => []);
  return fc.sample(fc.tuple(...arbitraries), { numRuns: runs, seed });
}

interface CallOutcome {
  readonly isRefusal: boolean;
  readonly fault: string | undefined;
}

async function callOnce(
  { call, args, alsoNamed = [] }: Entry,
  world: World,
  cases: readonly Case[],
): Promise<CallOutcome> {
  try {
    const answer = Promise.resolve(call(world, ...(cases.map((made) => made.make()) as never[])));
    const late = Symbol("late");
    const result: unknown = await Promise.race([answer, sleep(SETTLES_WITHIN_MS, late, { ref: false })]);
    if (result === late) return { isRefusal: false, fault: `it did not settle within ${SETTLES_WITHIN_MS} ms` };
    return { isRefusal: false, fault: result instanceof Told ? leakOf(result.text) : undefined };
  } catch (refusal) {
    return { isRefusal: true, fault: faultOf(refusal, [...Object.keys(args), ...alsoNamed]) };
  }
}

function escapedFault(escaped: unknown[]): string | undefined {
  // A promise of the caller's own that nobody was waiting for may well be lost.
  const [first] = escaped.splice(0).filter((error) => !isOwn(error));
  return first === undefined ? undefined : `a rejection that nobody can catch: ${String(first).slice(0, 300)}`;
}

/** An engine reports as errors what should not have been: a listener of ours that threw is none. */
function toldFault(world: World): string | undefined {
  const told = world.errors.splice(0).find((message) => !message.startsWith("a listener threw"));
  return told && `the engine reports: ${told}`;
}

function shown({ args, name }: Entry, cases: readonly Case[]): string {
  const names = Object.keys(args);
  return `${name}(${cases.map((made, place) => `${names[place]}: ${made.name}`).join(", ")})`;
}

/** Those that differ in more than numbers and quoted texts. */
function distinct(findings: readonly Finding[]): readonly Finding[] {
  const kindOf = ({ fault }: Finding) => fault.replace(/"[^"]*"|'[^']*'|\d+/g, "…").slice(0, 80);
  return [...new Map(findings.map((finding) => [kindOf(finding), finding])).values()];
}
