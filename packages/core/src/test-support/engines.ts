import { createEngine, type Engine } from "../engine/engine.js";
import type { EngineOptions } from "../engine/engine-options.js";
import type { Logger } from "../logger.js";
import { isTracked } from "./calls-in-flight.js";
import { HOUSEKEEPING_MS, ManualClock, settled, WatchedClock } from "./manual-clock.js";
import { closeAfterTest, watchClock } from "./nothing-left.js";
import { testStorage } from "./storages.js";

/** Keeps what the engine reports. */
export class RecordingLogger implements Logger {
  readonly lines: { readonly level: keyof Logger; readonly message: string; readonly details: object }[] = [];

  debug = (details: object, message: string) => this.#add("debug", details, message);
  info = (details: object, message: string) => this.#add("info", details, message);
  warn = (details: object, message: string) => this.#add("warn", details, message);
  error = (details: object, message: string) => this.#add("error", details, message);

  /** The messages of warnings and errors. */
  get complaints(): readonly string[] {
    return this.lines.filter(({ level }) => level === "warn" || level === "error").map(({ message }) => message);
  }

  #add(level: keyof Logger, details: object, message: string): void {
    this.lines.push({ level, message, details });
  }
}

/**
 * What an engine does by the clock in a storage that others share would never let a clock of the test's come to rest,
 * and stores judge leases by a clock of their own.
 */
const QUIET = { lease: HOUSEKEEPING_MS, poll: HOUSEKEEPING_MS, retention: false } as const;
/** Where time is real, what one engine did is found soon by the others. */
const QUICK = { poll: 20 } as const;

/**
 * An engine on the storage under test, which is stopped after the test and reports to nobody unless a logger is given.
 * Where the test moves the clock, it neither polls nor has to renew its lease unless asked to.
 */
export function testEngine(options: EngineOptions): Engine {
  const clock = options.clock ?? new WatchedClock();
  const storage = options.storage ?? testStorage();
  const pace = !isTracked(storage) ? {} : clock instanceof ManualClock ? QUIET : QUICK;
  const defaults = { log: new RecordingLogger(), abortGrace: "20ms", ...pace } as const;
  const engine = createEngine({ ...defaults, ...options, clock, storage });
  if (clock instanceof ManualClock || clock instanceof WatchedClock) watchClock(clock);
  closeAfterTest(() => stopNow(engine, clock));
  return engine;
}

/** A started {@link testEngine}. */
export async function startedEngine(options: EngineOptions): Promise<Engine> {
  const engine = testEngine(options);
  await engine.start();
  return engine;
}

/** Stops an engine without patience, also one whose clock has to be moved for that. */
export async function stopNow(engine: Engine, clock: EngineOptions["clock"]): Promise<void> {
  let isStopped = false;
  const stopping = engine.stop({ grace: 0 }).finally(() => {
    isStopped = true;
  });
  while (clock instanceof ManualClock && !isStopped) {
    await clock.advance(100);
    await settled();
  }
  await stopping;
}
