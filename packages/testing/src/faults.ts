import type { Clock, CommitOutcome, Flush, Random, RejectedValue, Storage, StorageHint, TaskRecord } from "weftline";

/** How often calls go wrong: parts of 1. */
export interface StorageFaults {
  /** It takes long, and succeeds. */
  readonly slow: number;
  /** It fails, and nothing was done. */
  readonly error: number;
  /** It is done, and reported as failed. */
  readonly lostReply: number;
  /** No answer comes for a very long time, whether it was done or not; then it fails. */
  readonly stuck: number;
  /** Of hints: they never arrive. */
  readonly lostHint: number;
  /**
   * Of calls that change something: it is reported as failed, and done some time after that, between whatever comes
   * next. A request that is on its way when its connection is cut, or its caller gives up, can do so. Default: 0.
   */
  readonly late?: number;
}

export type StorageFaultKind = "slow" | "error" | "lostReply" | "stuck" | "late";
export type StorageMethod = Exclude<keyof Storage, "supports" | "schema">;

/** Calls that change what is stored. */
export const WRITING_METHODS: readonly StorageMethod[] = [
  ...(["renewLease", "releaseLease", "createRuns", "claimRuns", "commit", "remapRun", "send", "sendSignals"] as const),
  ...(["receive", "putDefinitions", "putSchedules", "fire", "deleteRun", "prune"] as const),
];

export interface FaultyStorageOptions {
  readonly random: Random;
  /** By which the caller's side waits: an answer arrives only while this clock runs. */
  readonly clock: Pick<Clock, "now" | "timer">;
  /** By which a request travels and the store works. Default: `clock`. */
  readonly wire?: Pick<Clock, "now" | "timer">;
  /** Asked at each call. Default: nothing goes wrong. */
  readonly faults?: (method: StorageMethod) => StorageFaults;
  /** The longest a request, and an answer, is under way, in milliseconds. Default: 0. */
  readonly latencyMs?: number;
  /** How long slow calls take, in milliseconds. Default: 100 to 5,000. */
  readonly slowMs?: readonly [number, number];
  /** After how long calls that are stuck fail, in milliseconds. Default: 20,000 to 120,000. */
  readonly stuckMs?: readonly [number, number];
  /** How long after its failure was reported a late call is done, in milliseconds. Default: 1 to 10,000. */
  readonly lateMs?: readonly [number, number];
  /** Told of each call that goes wrong, with how long that lasts at the most, in milliseconds. */
  readonly onFault?: (kind: StorageFaultKind, method: string, lastsMs: number) => void;
  /** Told of work of the inner storage while it is under way. */
  readonly hold?: (work: Promise<unknown>) => void;
}

export interface FaultyStorage {
  /** What an engine gets. */
  readonly storage: Storage;
  /** Every call that is stuck fails now. */
  letGo(): void;
}

export const NO_FAULTS: StorageFaults = Object.freeze({ slow: 0, error: 0, lostReply: 0, stuck: 0, lostHint: 0 });

/**
 * A storage whose calls take time and go wrong by chance, around any adapter. Wrap it once for each engine. `open` and
 * `close` go through as they are; `holdLease` is left out, so that renewals go where faults can reach them.
 */
export function faultyStorage(inner: Storage, options: FaultyStorageOptions): FaultyStorage {
  const calls = new FaultyCalls(inner, options);
  const storage = new Proxy(inner, {
    get(target, name) {
      if (name === "holdLease") return undefined;
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      if (name === "open" || name === "close") return member.bind(target);
      if (name === "listen") return (onHint: (hint: StorageHint) => void) => calls.listen(onHint);
      return (...args: unknown[]) => calls.call(name as StorageMethod, args);
    },
  });
  return { storage, letGo: () => calls.letGo() };
}

/**
 * A storage that keeps no record for which `refuses` gives a reason: a commit that holds one writes nothing, and is
 * `rejected` with the tasks and items concerned.
 *
 * @param onRefusal - Told of each commit that is refused.
 */
export function refusingStorage(
  inner: Storage,
  refuses: (record: TaskRecord) => string | undefined,
  onRefusal: (flush: Flush) => void = () => {},
): Storage {
  const commit: Storage["commit"] = async (flush, options): Promise<CommitOutcome> => {
    const values = refusedIn(flush, refuses);
    if (values.length === 0) return inner.commit(flush, options);
    onRefusal(flush);
    return { kind: "rejected", values };
  };
  return new Proxy(inner, {
    get(target, name) {
      if (name === "commit") return commit;
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

class FaultyCalls {
  readonly #inner: Storage;
  readonly #options: FaultyStorageOptions;
  readonly #wire: Pick<Clock, "now" | "timer">;
  readonly #stuck = new Set<() => void>();

  constructor(inner: Storage, options: FaultyStorageOptions) {
    this.#inner = inner;
    this.#options = options;
    this.#wire = options.wire ?? options.clock;
  }

  letGo(): void {
    for (const fail of [...this.#stuck]) fail();
  }

  call(method: StorageMethod, args: readonly unknown[]): Promise<unknown> {
    const fate = this.#fate(method);
    const lastsMs = this.#lengthOf(fate);
    if (fate !== undefined) this.#options.onFault?.(fate, method, lastsMs);
    return new Promise((resolve, reject) => {
      const fail = (why: string, ms: number) => this.#answer(ms, () => reject(new Error(why)));
      if (fate === "error") return fail("connection refused", this.#latency());
      if (fate === "stuck") this.#stick(lastsMs, () => fail("connection timed out", 0));
      if (fate === "late") {
        const reported = this.#latency();
        fail("connection reset", reported);
        return in_(this.#wire, reported + lastsMs, () => void this.#perform(method, args).catch(() => undefined));
      }
      const isDropped = fate === "stuck" && this.#options.random() < 0.5;
      if (isDropped) return;
      const travels = fate === "slow" ? lastsMs : this.#latency();
      in_(this.#wire, travels, () => {
        const work = this.#perform(method, args);
        if (fate === "stuck") return void work.catch(() => undefined);
        if (fate === "lostReply") {
          const lose = () => fail("connection reset", this.#latency());
          return void work.then(lose, lose);
        }
        work.then(
          (answer) => this.#answer(this.#latency(), () => resolve(answer)),
          (error: unknown) => this.#answer(this.#latency(), () => reject(error)),
        );
      });
    });
  }

  async listen(onHint: (hint: StorageHint) => void): Promise<() => Promise<void>> {
    const end = await this.#perform("listen", [
      (hint: StorageHint) => {
        const { lostHint } = this.#options.faults?.("listen") ?? NO_FAULTS;
        if (this.#options.random() >= lostHint) this.#answer(this.#latency(), () => onHint(hint));
      },
    ]);
    return end as () => Promise<void>;
  }

  #fate(method: StorageMethod): StorageFaultKind | undefined {
    const { slow, error, lostReply, stuck, late = 0 } = this.#options.faults?.(method) ?? NO_FAULTS;
    const drawn = this.#options.random();
    if (drawn < error) return "error";
    if (drawn < error + lostReply) return "lostReply";
    if (drawn < error + lostReply + stuck) return "stuck";
    if (drawn < error + lostReply + stuck + slow) return "slow";
    return drawn < error + lostReply + stuck + slow + late && isWriting(method) ? "late" : undefined;
  }

  #perform(method: StorageMethod, args: readonly unknown[]): Promise<unknown> {
    const work = this.#invoke(method, args);
    this.#options.hold?.(work);
    return work;
  }

  async #invoke(method: StorageMethod, args: readonly unknown[]): Promise<unknown> {
    return (this.#inner[method] as (...args: unknown[]) => unknown).apply(this.#inner, [...args]);
  }

  #lengthOf(fate: StorageFaultKind | undefined): number {
    const { slowMs = [100, 5_000], stuckMs = [20_000, 120_000], lateMs = [1, 10_000] } = this.#options;
    if (fate === "slow") return this.#between(slowMs);
    if (fate === "stuck") return this.#between(stuckMs);
    return fate === "late" ? this.#between(lateMs) : 0;
  }

  #stick(ms: number, fail: () => void): void {
    const end = () => {
      if (this.#stuck.delete(end)) fail();
    };
    this.#stuck.add(end);
    this.#answer(ms, end);
  }

  #answer(ms: number, arrive: () => void): void {
    in_(this.#options.clock, ms, arrive);
  }

  #latency(): number {
    const { latencyMs = 0, random } = this.#options;
    return latencyMs === 0 ? 0 : Math.floor(random() * (latencyMs + 1));
  }

  #between([min, max]: readonly [number, number]): number {
    return min + Math.floor(this.#options.random() * (max - min + 1));
  }
}

function isWriting(method: StorageMethod): boolean {
  return WRITING_METHODS.includes(method);
}

function in_(clock: Pick<Clock, "now" | "timer">, ms: number, fire: () => void): void {
  void clock.timer(clock.now() + ms, fire);
}

function refusedIn(flush: Flush, refuses: (record: TaskRecord) => string | undefined): RejectedValue[] {
  const values: RejectedValue[] = [];
  for (const { tasks } of flush.runs) {
    for (const record of tasks) {
      const message = refuses(record);
      if (message !== undefined) values.push({ runId: record.runId, task: record.task, index: record.index, message });
    }
  }
  return values;
}
