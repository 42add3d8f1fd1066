import { existsSync } from "node:fs";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { type HoldLeaseRequest, LeaseBoard, type LeaseHolder, LeaseRenewal, type LeaseState } from "weftline";
import { fromSent, type LeaseThreadData, type SentRenewal, STOP, sharedMonotonicMs } from "./lease-protocol.js";
import type { Settings } from "./options.js";

/** How often the thread is told that the event loop turns, at least, in milliseconds. */
const MAX_BEAT_MS = 1_000;

const { setTimeout: startTimeout, clearTimeout: stopTimeout, setInterval: startInterval } = globalThis;
const { now: dateNow } = Date;

type Renew = () => Promise<LeaseState>;

/** The leases that this storage renews by itself. */
export class LeaseHolders {
  readonly #settings: Settings;
  readonly #holders = new Set<LeaseHolder>();

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /** Renews a lease now, and from now on in a thread. */
  async hold(request: HoldLeaseRequest, renew: Renew): Promise<LeaseHolder> {
    const board = new LeaseBoard();
    const sentAt = sharedMonotonicMs();
    board.beat(sentAt);
    const { now: storeNow, lost } = await renew();
    if (lost) board.lost();
    board.renewed(sentAt);
    request.onRenewal({ kind: lost ? "lost" : "renewed", storeNow, at: dateNow() });
    const holder = new ThreadHolder(this.#settings, request, board, sentAt, () => renewHere(request, renew, board));
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
}

/** Whether a thread can renew leases: it needs a driver that it can load by itself, and its own file, which bundles lose. */
export function canHoldLeases({ driver }: Settings): boolean {
  return typeof driver !== "function" && threadFile() !== undefined;
}

/** The thread's file beside this one; when this is the source, in the last build, as a worker cannot load TypeScript. */
function threadFile(): URL | undefined {
  const extension = extname(fileURLToPath(import.meta.url));
  const path = extension === ".ts" ? "../dist/lease-thread.js" : `./lease-thread${extension}`;
  const file = new URL(path, import.meta.url);
  return existsSync(file) ? file : undefined;
}

/** On the event loop of the process, where nothing else goes. */
function renewHere(request: HoldLeaseRequest, renew: Renew, board: LeaseBoard): LeaseRenewal {
  const { leaseMs, everyMs, onRenewal } = request;
  const renewal = new LeaseRenewal({ renew, leaseMs, everyMs, onRenewal, board, clock: hereClock });
  renewal.start(board.renewedAt);
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

/** A lease that a thread renews; until it has begun, and when it fails, this one. */
class ThreadHolder implements LeaseHolder {
  readonly #leaseMs: number;
  readonly #board: LeaseBoard;
  readonly #beat: NodeJS.Timeout;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  #isStopped = false;
  #here: LeaseHolder | undefined;

  constructor(
    settings: Settings,
    { onRenewal, ...request }: HoldLeaseRequest,
    board: LeaseBoard,
    sentAt: number,
    renewHere: () => LeaseHolder,
  ) {
    this.#leaseMs = request.leaseMs;
    this.#board = board;
    const beatMs = Math.min(MAX_BEAT_MS, request.maxBlockedMs / 4);
    this.#beat = startInterval(() => board.beat(sharedMonotonicMs()), beatMs).unref();
    const workerData: LeaseThreadData = { settings, request, board: board.buffer, sentAt };
    // Without the options of the process: what it evaluates or preloads is not the thread's.
    this.#worker = new Worker(threadFile()!, { workerData, name: "weftline-lease", execArgv: [] });
    // To load what it needs may take a thread as long as a short lease holds.
    this.#here = renewHere();
    this.#worker.on("message", (made: SentRenewal) => {
      if (this.#isStopped) return;
      if (made.kind !== "failed") this.#endHere();
      onRenewal(fromSent(made));
    });
    this.#ended = new Promise((resolve) => this.#worker.once("exit", () => resolve()));
    this.#worker.on("error", (error) => {
      if (this.#isStopped) return;
      onRenewal({ kind: "failed", error });
      this.#here ??= renewHere();
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
    clearInterval(this.#beat);
    await this.#here?.stop();
    this.#worker.ref();
    this.#worker.postMessage(STOP);
    await this.#ended;
  }
}
