import { existsSync } from "node:fs";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import {
  type HoldLeaseRequest,
  LeaseBoard,
  type LeaseHolder,
  LeaseRenewal,
  type LeaseState,
  type Logger,
} from "weftline";
import { fromSent, type LeaseThreadData, type SentRenewal, STOP, sharedMonotonicMs } from "./lease-protocol.js";
import type { PostgresSettings } from "./options.js";

/** How often the thread is told that the event loop turns, at least, in milliseconds. */
const MAX_BEAT_MS = 1_000;
/** A thread that does not end by itself within so long, as while the database does not answer, is ended. */
const STOP_GRACE_MS = 2_000;

const {
  setTimeout: startTimeout,
  clearTimeout: stopTimeout,
  setInterval: startInterval,
  clearInterval: stopInterval,
} = globalThis;
const { now: dateNow } = Date;

type Renew = () => Promise<LeaseState>;

/** The leases that this storage renews by itself. */
export class LeaseHolders {
  readonly #settings: PostgresSettings;
  readonly #log: Logger;
  readonly #renew: (request: HoldLeaseRequest) => Promise<LeaseState>;
  readonly #holders = new Set<LeaseHolder>();

  /** @param renew - Renews a lease once, from this thread. */
  constructor(settings: PostgresSettings, log: Logger, renew: (request: HoldLeaseRequest) => Promise<LeaseState>) {
    this.#settings = settings;
    this.#log = log;
    this.#renew = renew;
  }

  /** Renews a lease now, and from now on in a thread; where that cannot be, on this thread. */
  async hold(request: HoldLeaseRequest): Promise<LeaseHolder> {
    const renew = () => this.#renew(request);
    const board = new LeaseBoard();
    const sentAt = sharedMonotonicMs();
    board.beat(sentAt);
    const { now: storeNow, lost } = await renew();
    if (lost) board.lost();
    board.renewed(sentAt);
    request.onRenewal({ kind: lost ? "lost" : "renewed", storeNow, at: dateNow() });
    const holder = this.#start(request, renew, board, sentAt);
    this.#holders.add(holder);
    return {
      remainingMs: () => holder.remainingMs(),
      losses: () => holder.losses(),
      stop: () => {
        this.#holders.delete(holder);
        return holder.stop();
      },
    };
  }

  async stop(): Promise<void> {
    const holders = [...this.#holders];
    this.#holders.clear();
    await Promise.all(holders.map((holder) => holder.stop()));
  }

  #start(request: HoldLeaseRequest, renew: Renew, board: LeaseBoard, sentAt: number): LeaseHolder {
    const here = () => renewHere(request, renew, board, sentAt);
    const file = threadFile();
    const reason = file === undefined ? "its file is not there, as in a bundle" : whyNotSendable(this.#settings);
    if (file !== undefined && reason === undefined) {
      return new ThreadHolder({ file, settings: this.#settings, request, board, sentAt, here });
    }
    this.#log.warn(
      { engine: request.engineId, reason },
      "leases are renewed without a thread of their own: a blocked event loop may lose them",
    );
    return here();
  }
}

/** The thread's file beside this one; when this is the source, in the last build, as a worker cannot load TypeScript. */
function threadFile(): URL | undefined {
  const extension = extname(fileURLToPath(import.meta.url));
  const path = extension === ".ts" ? "../dist/lease-thread.js" : `./lease-thread${extension}`;
  const file = new URL(path, import.meta.url);
  return existsSync(file) ? file : undefined;
}

function whyNotSendable(settings: PostgresSettings): string | undefined {
  try {
    structuredClone(settings);
    return undefined;
  } catch {
    return "there is a function among the settings of the pool, and no thread can be given that";
  }
}

function renewHere(request: HoldLeaseRequest, renew: Renew, board: LeaseBoard, sentAt: number): LeaseRenewal {
  const { leaseMs, everyMs, onRenewal } = request;
  const renewal = new LeaseRenewal({ renew, leaseMs, everyMs, onRenewal, board, clock: hereClock });
  renewal.start(sentAt);
  return renewal;
}

/** Its timers do not keep the process alive. */
const hereClock = {
  now: () => dateNow(),
  monotonicMs: sharedMonotonicMs,
  timer(at: number, fire: () => void) {
    const handle = startTimeout(fire, Math.max(0, at - dateNow())).unref();
    return () => stopTimeout(handle);
  },
};

interface ThreadOptions {
  readonly file: URL;
  readonly settings: PostgresSettings;
  readonly request: HoldLeaseRequest;
  readonly board: LeaseBoard;
  readonly sentAt: number;
  /** Renews on this thread instead. */
  readonly here: () => LeaseHolder;
}

/** A lease that a thread renews; until it has begun, and when it fails, this one. */
class ThreadHolder implements LeaseHolder {
  readonly #leaseMs: number;
  readonly #board: LeaseBoard;
  readonly #beat: NodeJS.Timeout;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  #isStopped = false;
  #here: LeaseHolder | undefined;

  constructor({ file, settings, request, board, sentAt, here }: ThreadOptions) {
    const { onRenewal, ...sent } = request;
    this.#leaseMs = request.leaseMs;
    this.#board = board;
    const beatMs = Math.min(MAX_BEAT_MS, request.maxBlockedMs / 4);
    this.#beat = startInterval(() => board.beat(sharedMonotonicMs()), beatMs).unref();
    const workerData: LeaseThreadData = { settings, request: sent, board: board.buffer, sentAt };
    // Without the arguments of this process: some are refused by threads, and what the host preloads is not for this one.
    this.#worker = new Worker(file, { workerData, name: "weftline-lease", execArgv: [] });
    // To load what it needs may take a thread as long as a short lease holds.
    this.#here = here();
    this.#worker.on("message", (made: SentRenewal) => {
      if (this.#isStopped) return;
      if (made.kind !== "failed") this.#endHere();
      onRenewal(fromSent(made));
    });
    this.#ended = new Promise((resolve) => this.#worker.once("exit", () => resolve()));
    this.#worker.on("error", (error) => {
      if (this.#isStopped) return;
      onRenewal({ kind: "failed", error });
      this.#here ??= here();
    });
    this.#worker.unref();
  }

  #endHere(): void {
    void this.#here?.stop();
    this.#here = undefined;
  }

  remainingMs(): number {
    return this.#leaseMs - (sharedMonotonicMs() - this.#board.renewedAt);
  }

  losses(): number {
    return this.#board.losses;
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return this.#ended;
    this.#isStopped = true;
    stopInterval(this.#beat);
    await this.#here?.stop();
    this.#worker.ref();
    this.#worker.postMessage(STOP);
    const timer = startTimeout(() => void this.#worker.terminate(), STOP_GRACE_MS);
    await this.#ended;
    stopTimeout(timer);
  }
}
