import { createEngine, type Engine, encode, type Logger, type Storage } from "weftline";
import { type FaultyStorage, faultyStorage, NO_FAULTS, type StorageFaults, type StorageMethod } from "../faults.js";
import { POOL, POOL_SIZE } from "./build-pipeline.js";
import type { Dice } from "./dice.js";
import { ProcessClock } from "./process-clock.js";
import type { Stage } from "./stage.js";
import type { Ended, Said, TaskHost } from "./task-code.js";

const START_AGAIN_MS = 1_000;
const ABORT_GRACE_MS = 500;

export interface ProcessOptions {
  readonly slot: number;
  /** How many processes this slot has had before. */
  readonly life: number;
  readonly version: number;
  readonly dice: Dice;
  readonly skewMs: number;
  readonly concurrency: number;
}

/**
 * A process with one engine in it: the real one, on a clock, a storage and a chance of its own. It can be killed, stand
 * still, be cut off from the store, and stop in order.
 */
export class SimulatedProcess implements TaskHost {
  readonly name: string;
  readonly options: ProcessOptions;
  readonly clock: ProcessClock;
  readonly engine: Engine;
  /** Whether the engine has started and nobody has asked it to stop. */
  isUp = false;
  isStopping = false;
  /** Nothing of it happens any more. */
  hasEnded = false;
  isCutOff = false;
  readonly #stage: Stage;
  readonly #faulty: FaultyStorage;
  /** When the last renewal that was confirmed had been sent, by the monotonic clock. */
  #renewedAt = Number.NEGATIVE_INFINITY;
  #executions = 0;

  constructor(stage: Stage, options: ProcessOptions) {
    const { world } = stage;
    this.#stage = stage;
    this.options = options;
    this.name = `e${options.slot}.${options.life}`;
    this.clock = new ProcessClock(stage.time, options.skewMs);
    this.#faulty = this.#storage(options.dice.fork("storage"));
    let ids = 0;
    this.engine = createEngine({
      pipelines: stage.pipelinesOf(options.version),
      storage: this.#watched(stage.mutations.engine?.(this.#faulty.storage) ?? this.#faulty.storage),
      resources: this,
      pools: { [POOL]: POOL_SIZE },
      concurrency: options.concurrency,
      abortGrace: ABORT_GRACE_MS,
      lease: world.leaseMs,
      poll: world.pollMs,
      quarantineAfter: world.quarantineAfter,
      retention: false,
      name: this.name,
      clock: this.clock,
      random: options.dice.fork("engine").random,
      newId: () => `${this.name}-${String(++ids).padStart(4, "0")}`,
      log: stage.log ?? QUIET,
    });
    stage.engines.set(this.engine.id, this.name);
  }

  /** Starts the engine, as often as it takes. */
  start(): void {
    this.engine.start().then(
      () => {
        this.isUp = !this.hasEnded && !this.isStopping;
      },
      () => {
        if (!this.isStopping) this.clock.in(START_AGAIN_MS, () => this.start());
      },
    );
  }

  /** The process ends here and now, its task code with it. */
  kill(): void {
    this.isUp = false;
    this.hasEnded = true;
    this.clock.end();
  }

  /** Stops the engine in order. */
  async stop(graceMs: number): Promise<void> {
    this.isUp = false;
    this.isStopping = true;
    await this.engine.stop({ grace: graceMs });
    this.hasEnded = true;
  }

  /** All calls without an answer fail. */
  letGo(): void {
    this.#faulty.letGo();
  }

  /** For how much longer its lease surely holds, told by what it sent and what was answered. */
  get leaseLeftMs(): number {
    return this.#stage.world.leaseMs - (this.clock.monotonicMs() - this.#renewedAt);
  }

  // ---- What task code uses

  work(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = () => {
        takeBack();
        reject(signal?.reason);
      };
      const takeBack = this.clock.in(ms, () => {
        signal?.removeEventListener("abort", stop);
        resolve();
      });
      if (signal?.aborted) stop();
      else signal?.addEventListener("abort", stop, { once: true });
    });
  }

  count(name: string): number {
    return this.#stage.count(name);
  }

  started(said: Said): string {
    const execution = `${this.name}#${++this.#executions}.`;
    const { leaseLeftMs } = this;
    this.#stage.witness({ ...this.#line(said), phase: "start", execution, leaseLeftMs, inputs: said.input });
    return execution;
  }

  ended(said: Said, execution: string, end: Ended): void {
    const line = { ...this.#line(said), phase: "end", execution } as const;
    if (end === "aborted") return this.#stage.witness({ ...line, outcome: "aborted" });
    if ("error" in end) return this.#stage.witness({ ...line, outcome: "threw", errorToken: tokenOf(end, execution) });
    this.#stage.witness({ ...line, outcome: "returned", output: encode(end.value, "output") });
  }

  #line({ runId, task, index, attempt, key }: Said) {
    return { runId, task, index, attempt, key, engine: this.name };
  }

  // ---- Its way to the store

  #storage(dice: Dice): FaultyStorage {
    const { world, time, store } = this.#stage;
    const { clock } = this;
    return faultyStorage(store, {
      random: dice.random,
      clock: { now: clock.now, timer: (at, fire) => clock.in(at - clock.now(), fire) },
      wire: time.clock,
      faults: (method) => this.#faults(method),
      latencyMs: world.latencyMs,
      ...(world.late && { lateMs: [1, world.late.maxMs] as const }),
      onFault: (kind, call, lastsMs) => this.#stage.storageFault(kind, this.name, call, lastsMs),
      hold: (work) => void time.hold(work),
    });
  }

  #faults(method: StorageMethod): StorageFaults {
    const { isHealing, world } = this.#stage;
    if (this.isCutOff) return CUT_OFF;
    if (isHealing) return NO_FAULTS;
    const { faults, late } = world;
    return late?.methods.includes(method) ? { ...faults, late: late.part } : faults;
  }

  /** The store is opened once, for all; and what becomes of renewals is noted. */
  #watched(storage: Storage): Storage {
    const { world, capabilities, creations, time } = this.#stage;
    const own: Partial<Storage> = {
      supports: capabilities,
      open: async () => undefined,
      close: async () => undefined,
      createRuns: async (runs, options) => {
        const ids = runs.map(({ id }) => id);
        creations.asked(ids);
        try {
          const results = await storage.createRuns(runs, options);
          creations.answered(ids, time.now());
          return results;
        } catch (error) {
          creations.failed(ids, time.now());
          throw error;
        }
      },
      renewLease: async (request, options) => {
        const sentAt = this.clock.monotonicMs();
        const state = await storage.renewLease(request, options);
        this.#renewedAt = sentAt;
        return state;
      },
    };
    return new Proxy(storage, {
      get(target, name) {
        if (Object.hasOwn(own, name)) return own[name as keyof Storage];
        return name === "listen" && !world.notify ? undefined : Reflect.get(target, name);
      },
    });
  }
}

/** What a message of this execution alone contains. */
function tokenOf({ error }: { readonly error: Error }, execution: string): string {
  return error.message.includes(execution) ? execution : error.message;
}

const CUT_OFF: StorageFaults = { slow: 0, error: 0.7, lostReply: 0, stuck: 0.3, lostHint: 1 };

const QUIET: Logger = { debug() {}, info() {}, warn() {}, error() {} };
