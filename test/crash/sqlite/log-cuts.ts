import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "@photostructure/sqlite";
import { sqliteStorage } from "@weftline/storage-sqlite";
import type { Storage } from "weftline";
import { chance, type Random, spread } from "../chance.js";
import { EXPECTED } from "../pipeline.js";
import { Program } from "../processes.js";
import type { PartReport } from "../report.js";
import { identityOf, storedRuns, withStorage } from "../stored-runs.js";
import { readLines } from "../witness.js";
import { copyDatabase, copyMarkers, newFolder, removeFolder } from "./copies.js";
import { CALLS, DATABASE, type HostOptions } from "./host-options.js";
import type { RecordedLine } from "./recorder.js";
import { Replayed } from "./replayed.js";
import type { Sabotage } from "./sabotage.js";
import { cutsOf, framesIn, type LogPlace, placeInLog } from "./wal-file.js";

export interface LogCutOptions {
  readonly seed: number;
  /** How many copies are opened, evenly spread; `undefined`: all. */
  readonly sample: number | undefined;
  readonly sabotage: Sabotage | undefined;
  readonly onProgress: (done: number, of: number) => void;
}

/** A copy of the files as they were at one failpoint, with the log cut to so many bytes. */
interface Copy {
  readonly folder: string;
  /** The place of the failpoint among the recorded lines. */
  readonly line: number;
  readonly place: LogPlace;
  readonly logBytes: number;
  readonly isCut: boolean;
}

/** Two kinds of runs: one whose log only grows, and one whose log is written back again and again, and begun anew. */
const KINDS: readonly (number | undefined)[] = [undefined, 25];
/** On one of so many copies, an engine brings the run to its end. */
const CONTINUED = 40;

/**
 * Opens copies of a database with its log cut anywhere, and compares what is stored with what was confirmed by then.
 *
 * A transaction is in the log as frames, of which the last says that it is whole. So a log that is cut holds every
 * transaction whose last frame is still there, and nothing of all others. Where nothing is cut, nothing that was
 * confirmed is missing.
 */
export async function logCuts(options: LogCutOptions): Promise<PartReport> {
  const random = chance(options.seed);
  const counts = { copies: 0, cuts: 0, "cuts that lose something": 0, "logs written back": 0, continued: 0 };
  const problems: string[] = [];
  for (const checkpointPages of KINDS) {
    const folder = newFolder();
    try {
      const run = await RecordedRun.make(folder, checkpointPages, options);
      counts["logs written back"] += run.logs - 1;
      const copies = run.copies();
      const chosen = chosenOf(copies, options.sample, random);
      for (const [place, copy] of chosen.entries()) {
        problems.push(...(await run.check(copy)));
        counts.copies++;
        if (copy.isCut) counts.cuts++;
        if (run.loses(copy)) counts["cuts that lose something"]++;
        if (place % CONTINUED === 0) {
          counts.continued++;
          problems.push(...(await run.goOn(copy, random)));
        }
        options.onProgress(place + 1, chosen.length);
      }
    } finally {
      removeFolder(folder);
    }
  }
  return { name: "SQLite, a log that is cut", exercised: counts, required: Object.keys(counts), problems };
}

/** Of each kind of run half the sample, and of that a quarter whole copies, which are few beside those that are cut. */
function chosenOf(copies: readonly Copy[], sample: number | undefined, random: Random): readonly Copy[] {
  if (sample === undefined) return copies;
  const pick = (some: readonly Copy[], count: number) =>
    spread(some.length, Math.ceil(count), random).map((place) => some[place - 1]!);
  const whole = copies.filter(({ isCut }) => !isCut);
  const cut = copies.filter(({ isCut }) => isCut);
  return [...pick(whole, sample / 8), ...pick(cut, (sample * 3) / 8)];
}

/** A run that was recorded with all that its storage was asked for, and copies of its files. */
class RecordedRun {
  readonly #folder: string;
  readonly #lines: readonly RecordedLine[];

  private constructor(folder: string, lines: readonly RecordedLine[]) {
    this.#folder = folder;
    this.#lines = lines;
  }

  static async make(
    folder: string,
    checkpointPages: number | undefined,
    { sabotage, sample }: Pick<LogCutOptions, "sabotage" | "sample">,
  ): Promise<RecordedRun> {
    const options: HostOptions = {
      ...{ folder, skewMs: 0, isFirst: true, isPlain: true, record: { every: sample === undefined ? 1 : 5 } },
      ...(checkpointPages !== undefined && { checkpointPages }),
      ...(sabotage && { sabotage }),
    };
    const { code, complaints } = await new Program(new URL("./host.js", import.meta.url), options).ended;
    if (code !== 0) throw new Error(`The recorded run failed with ${code}: ${complaints}`);
    return new RecordedRun(folder, readLines<RecordedLine>(join(folder, CALLS)));
  }

  /** How many logs there were, one after the other. */
  get logs(): number {
    return new Set(this.#lines.flatMap((line) => (line.type === "committed" ? [line.log] : []))).size;
  }

  /** All that were made, and the cuts of those that hold more of a log than any other. */
  copies(): readonly Copy[] {
    const whole = this.#lines.flatMap((line, place) =>
      line.type === "passed" && line.copied ? [this.#copyAt(line.n, place)] : [],
    );
    // A log only grows until it is written back, so that one copy of it holds the cuts of all before.
    const longest = new Map(whole.map((copy) => [`${copy.place.log} ${copy.place.writtenBack}`, copy]));
    return [...whole, ...[...longest.values()].flatMap((copy) => cuts(copy))];
  }

  #copyAt(n: number, line: number): Copy {
    const folder = join(this.#folder, "copies", String(n));
    const log = join(folder, `${DATABASE}-wal`);
    const index = join(folder, `${DATABASE}-shm`);
    const hasIndex = existsSync(index) && statSync(index).size > 0;
    const place = hasIndex ? placeInLog(readFileSync(index)) : { log: "", frames: 0, writtenBack: 0 };
    return { folder, line, place, logBytes: existsSync(log) ? statSync(log).size : 0, isCut: false };
  }

  loses(copy: Copy): boolean {
    return copy.isCut && framesIn(copy.logBytes) < copy.place.frames;
  }

  /** @returns In what the copy differs from what has to be there. */
  async check(copy: Copy): Promise<readonly string[]> {
    const to = newFolder();
    const where = `copy ${copy.folder.split("/").at(-1)} with ${copy.logBytes} bytes of log${copy.isCut ? " (cut)" : ""}`;
    try {
      copyDatabase(copy.folder, to, copy.logBytes);
      const file = join(to, DATABASE);
      const stored = await withStorage(sqliteStorage({ file }), everything);
      const expected = flattened(this.#expected(copy));
      return [...differences(stored, expected), ...rawProblems(file, expected)].map(
        (problem) => `${where}: ${problem}`,
      );
    } catch (error) {
      return [`${where} cannot be opened: ${String(error)}`];
    } finally {
      removeFolder(to);
    }
  }

  /** An engine finds the copy, much later, and brings the run to its end. */
  async goOn(copy: Copy, random: Random): Promise<readonly string[]> {
    const to = newFolder();
    try {
      copyDatabase(copy.folder, to, copy.logBytes);
      copyMarkers(this.#folder, to);
      const options: HostOptions = {
        ...{ folder: to, isFirst: false, isPlain: true },
        skewMs: 60_000 + Math.floor(random() * 1_000),
      };
      const ended = await new Program(new URL("./host.js", import.meta.url), options).endedWithin(20_000);
      if (ended?.code !== 0) return [`no engine goes on with a log of ${copy.logBytes} bytes: ${ended?.complaints}`];
      const { result } = JSON.parse(ended.output) as { readonly result: { readonly report: unknown } };
      const isRight = JSON.stringify(result.report) === JSON.stringify(EXPECTED);
      return isRight ? [] : [`the result after a log of ${copy.logBytes} bytes is ${JSON.stringify(result.report)}`];
    } finally {
      removeFolder(to);
    }
  }

  /** What was asked for in transactions whose last frame is in the copy. */
  #expected({ line: until, place, logBytes }: Copy): Replayed {
    const kept = Math.min(place.frames, framesIn(logBytes));
    const replayed = new Replayed();
    let isKept = true;
    for (const [at, line] of this.#lines.entries()) {
      if (line.type === "committed") {
        // A log that was begun anew is written back as a whole before.
        if (at < until) isKept = line.log !== place.log || line.frames <= kept;
        else isKept = false;
      }
      // What the last transaction changed is there, although its callers had not heard of it at that moment.
      if (line.type === "called" && isKept) replayed.apply(line);
    }
    return replayed;
  }
}

function cuts(copy: Copy): readonly Copy[] {
  const { logBytes, place } = copy;
  return cutsOf(logBytes, place.writtenBack).map((bytes) => ({ ...copy, logBytes: bytes, isCut: true }));
}

/** All that is compared, by name. */
type Everything = ReadonlyMap<string, string>;

async function everything(storage: Storage): Promise<Everything> {
  const replayed = new Replayed();
  for (const { run, tasks, attempts } of await storedRuns(storage)) {
    replayed.runs.set(run.id, run);
    for (const task of tasks) replayed.tasks.set(identityOf(task), task);
    for (const attempt of attempts) replayed.attempts.set(`${identityOf(attempt)} #${attempt.attempt}`, attempt);
    const { items } = await storage.list("steps", { runId: run.id }, { limit: 1_000 });
    for (const step of items) replayed.steps.set(`${identityOf(step)} ${step.step}`, step);
  }
  return flattened(replayed);
}

function flattened({ runs, tasks, attempts, steps, messages }: Replayed): Everything {
  const found = new Map<string, string>();
  const kinds = { run: runs, task: tasks, attempt: attempts, step: steps };
  for (const [kind, records] of Object.entries(kinds)) {
    for (const [name, record] of records) found.set(`${kind} ${name}`, sorted(record));
  }
  for (const id of messages.keys()) found.set(`message ${id}`, "");
  return found;
}

/** Text that is equal for equal records, whatever the order of their members. */
function sorted(record: object): string {
  return JSON.stringify(record, (_, value: unknown) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}

function differences(stored: Everything, expected: Everything): readonly string[] {
  const names = new Set([...stored.keys(), ...[...expected.keys()].filter((name) => !name.startsWith("message "))]);
  return [...names]
    .filter((name) => stored.get(name) !== expected.get(name))
    .map((name) => `${name} is ${stored.get(name)} and has to be ${expected.get(name)}`);
}

/** What no call of the storage tells: whether the file is whole, and which messages wait. */
function rawProblems(file: string, expected: Everything): readonly string[] {
  const database = new DatabaseSync(file);
  try {
    const [check] = database.prepare("PRAGMA integrity_check").all() as { integrity_check: string }[];
    const messages = database.prepare("SELECT id FROM weftline_messages").all() as { id: string }[];
    const waiting = new Set(messages.map(({ id }) => `message ${id}`));
    const wanted = [...expected.keys()].filter((name) => name.startsWith("message "));
    return [
      ...(check?.integrity_check === "ok" ? [] : [`the file is damaged: ${check?.integrity_check}`]),
      ...wanted.filter((name) => !waiting.has(name)).map((name) => `${name} is missing`),
      ...[...waiting].filter((name) => !wanted.includes(name)).map((name) => `${name} should not be there`),
    ];
  } finally {
    database.close();
  }
}
