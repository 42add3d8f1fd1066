import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { createEngine, type Engine, type Storage } from "weftline";
import { type Growth, growthOf, MIN_SAMPLES, type Sample } from "./growth.js";
import { listenerCount, signalCount } from "./heap-objects.js";
import { openStore, type Store, type StoreName } from "./stores.js";
import { oneRun, PIPELINES, RUNS_PER_CALL } from "./workload.js";

export interface SoakOptions {
  readonly storage: StoreName;
  /** At most so many runs. Default: 1,000,000. */
  readonly runs?: number;
  /** At most so long. Default: 30. */
  readonly minutes?: number;
  /** Calls between two samples. Default: some, by the storage. */
  readonly round?: number;
  /** Keeps so many bytes of each run for ever: for seeing that the soak finds a leak. Default: 0. */
  readonly leakBytes?: number;
  /** Is told of each sample that is taken. */
  readonly onSample?: (sample: Sample, soFar: { readonly runs: number; readonly seconds: number }) => void;
}

export interface SoakReport {
  readonly runs: number;
  readonly seconds: number;
  readonly samples: number;
  /** Empty where there were too few samples to say anything: then nothing is flat. */
  readonly growth: readonly Growth[];
  readonly warnings: readonly string[];
  readonly isFlat: boolean;
}

const DEFAULT_RUNS = 1_000_000;
const DEFAULT_MINUTES = 30;
const ROUND: Record<StoreName, number> = { memory: 6_500, sqlite: 1_300, postgres: 1_300 };
const IN_FLIGHT = 100;
/** The first samples are those of a process that is still being compiled, and of pools that fill. */
const WARM_UP = 0.3;
/**
 * By so much each may grow without having grown: a page of the allocator, a connection that is made later, a call of
 * housekeeping that falls into a round.
 */
const SLACK = { heapMb: 0.25, rssMb: 8, handles: 3, listeners: 4, signals: 4, rows: 3, diskMb: 1, callsPerRun: 0.05 };

/** Takes runs from trigger to end, in rounds; after each, everything that ended is pruned and the process looked at. */
export async function soak(options: SoakOptions): Promise<SoakReport> {
  const { runs = DEFAULT_RUNS, minutes = DEFAULT_MINUTES } = options;
  const store = await openStore(options.storage);
  const counter = countingCalls(store.storage);
  const warnings: string[] = [];
  const onWarning = ({ name, message }: Error): void => {
    // Of the probe that counts objects, not of what is measured.
    if (name !== "ExperimentalWarning") warnings.push(`${name}: ${message}`);
  };
  process.on("warning", onWarning);
  const engine = createEngine({
    pipelines: PIPELINES,
    storage: counter.storage,
    retention: "1d",
    log: logTo(warnings),
  });
  try {
    await engine.start();
    const end = performance.now() + minutes * 60_000;
    return await rounds({ ...options, runs }, { engine, store, counter, warnings, end });
  } finally {
    await engine.stop({ grace: 0 });
    process.off("warning", onWarning);
    await store.remove();
  }
}

interface Bench {
  readonly engine: Engine;
  readonly store: Store;
  readonly counter: CallCounter;
  readonly warnings: readonly string[];
  /** By the process's monotonic clock. */
  readonly end: number;
}

async function rounds(options: SoakOptions & { readonly runs: number }, bench: Bench): Promise<SoakReport> {
  const { round = ROUND[options.storage], leakBytes = 0 } = options;
  const began = performance.now();
  const samples: Sample[] = [];
  const leak: Uint8Array[] = [];
  let calls = 0;
  while (calls * RUNS_PER_CALL < options.runs && performance.now() < bench.end) {
    const first = calls;
    calls += round;
    await inFlight(round, async (n) => {
      await oneRun(bench.engine, first + n);
      if (leakBytes > 0) leak.push(new Uint8Array(new ArrayBuffer(leakBytes)));
    });
    const sample = await look(bench, round);
    samples.push(sample);
    options.onSample?.(sample, {
      runs: Math.round(calls * RUNS_PER_CALL),
      seconds: (performance.now() - began) / 1_000,
    });
  }
  const isEnough = samples.length * (1 - WARM_UP) >= MIN_SAMPLES;
  const growth = isEnough
    ? growthOf(samples, { warmUp: WARM_UP, slack: { ...SLACK, rows: SLACK.rows + bench.store.rowsComeAndGo } })
    : [];
  return {
    runs: Math.round(calls * RUNS_PER_CALL),
    seconds: (performance.now() - began) / 1_000,
    samples: samples.length,
    growth,
    warnings: bench.warnings,
    isFlat: isEnough && growth.every(({ isFlat }) => isFlat) && bench.warnings.length === 0,
  };
}

/** What there is when all runs have ended and were pruned. */
async function look({ engine, store, counter }: Bench, round: number): Promise<Sample> {
  const callsPerRun = counter.take() / (round * RUNS_PER_CALL);
  // What ended within this millisecond is not older than nothing.
  await sleep(5);
  await engine.prune({ olderThan: 0 });
  const rows = await store.rows();
  const bytes = await store.bytes();
  counter.take();
  await nextTurn();
  gcNow();
  const { heapUsed, external, arrayBuffers, rss } = process.memoryUsage();
  return {
    heapMb: (heapUsed + external + arrayBuffers) / 2 ** 20,
    rssMb: rss / 2 ** 20,
    handles: process.getActiveResourcesInfo().length,
    listeners: listenerCount(),
    signals: signalCount(),
    rows,
    diskMb: bytes / 2 ** 20,
    callsPerRun,
  };
}

function gcNow(): void {
  if (globalThis.gc === undefined) throw new Error("Cannot measure the heap without --expose-gc: start node with it");
  globalThis.gc();
}

/** Calls `work` with 0 to `count - 1`, some at a time. */
async function inFlight(count: number, work: (n: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const line = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, line));
}

interface CallCounter {
  readonly storage: Storage;
  /** Calls since it was last asked. */
  take(): number;
}

function countingCalls(inner: Storage): CallCounter {
  let calls = 0;
  const bound = new Map<PropertyKey, unknown>();
  const storage = new Proxy(inner, {
    get(target, name) {
      const known = bound.get(name);
      if (known !== undefined) return known;
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      const counted = (...args: unknown[]): unknown => {
        calls++;
        return member.apply(target, args);
      };
      bound.set(name, counted);
      return counted;
    },
  });
  const take = (): number => {
    const taken = calls;
    calls = 0;
    return taken;
  };
  return { storage, take };
}

/** The only thing that the engine may say is that the tests' server is not durable. */
function logTo(warnings: string[]) {
  const keep = (details: object, message: string) => {
    if (!("code" in details && details.code === "DURABILITY_RELAXED")) warnings.push(message);
  };
  return { debug() {}, info() {}, warn: keep, error: keep };
}
