import type { Clock } from "../clock.js";
import type { LeaseHolder, LeaseRequest, Renewal, Storage } from "../contracts/storage.js";
import { LeaseRenewal } from "../lease/lease-renewal.js";
import type { Logger } from "../logger.js";

export interface EngineLeaseOptions {
  readonly storage: Storage;
  readonly engineId: string;
  readonly definitions: readonly string[];
  readonly leaseMs: number;
  /** After the event loop was blocked for so long, the lease is left to run out. */
  readonly maxBlockedMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** The lease had run out: what this engine owned is not its own any more. It holds a new one by now. */
  readonly onLost: () => void;
  /** A renewal was confirmed after the lease had not been sure to hold. */
  readonly onHeldAgain: () => void;
}

/** What `health()` says of a lease. */
export interface LeaseFacts {
  /** `undefined`: nobody else could take the runs over. */
  readonly remainingMs: number | undefined;
  /** How often it was lost. */
  readonly losses: number;
  /** Why the last renewal failed. */
  readonly failure: unknown;
}

/** A third of the lease: two renewals may fail before it runs out. */
const RENEWALS_PER_LEASE = 3;
/** A skew of the clocks by less is not worth mentioning. */
const MAX_SKEW_MS = 1_000;

/**
 * An engine's claim on its runs, kept up for as long as the engine runs. Before anything starts the engine asks whether
 * it holds: one that was suspended or blocked for too long so fences itself, before the store has to.
 */
export class EngineLease {
  readonly #options: EngineLeaseOptions;
  #holder: LeaseHolder | undefined;
  /** The losses that were acted upon. */
  #settledLosses = 0;
  /** It may have lost its runs without having been told: it gives them back, to be sure. */
  #isDoubtful = false;
  #failure: unknown;
  #isSkewReported = false;
  /** How far the store's clock was ahead of ours when last seen, in milliseconds; by less than a round trip it may be wrong. */
  skewMs = 0;

  constructor(options: EngineLeaseOptions) {
    this.#options = options;
  }

  /** Whether attempts may start: the lease surely holds, and no loss is left to be dealt with. */
  readonly isHeld = (): boolean => {
    const holder = this.#holder;
    return holder === undefined || (holder.losses() === this.#settledLosses && holder.remainingMs() > 0);
  };

  get facts(): LeaseFacts {
    return {
      remainingMs: this.#holder?.remainingMs(),
      losses: this.#holder?.losses() ?? 0,
      failure: this.#failure,
    };
  }

  /** Registers the engine, and renews its lease from then on where others could take its runs over. */
  async take(): Promise<void> {
    const { storage, clock } = this.#options;
    const request = this.#request(true);
    const sentAt = clock.monotonicMs();
    const { now } = await storage.renewLease(request);
    this.sawStoreClock(now, clock.now());
    if (!storage.supports.manyProcesses) return;
    this.#holder = await this.#hold(sentAt);
  }

  /** Renews no more, and gives everything back. */
  async release(): Promise<void> {
    await this.stop();
    await this.#options.storage.releaseLease(this.#options.engineId);
  }

  /** Renews no more. */
  async stop(): Promise<void> {
    const holder = this.#holder;
    await holder?.stop();
  }

  /** The store's clock showed `storeNow` when ours showed `at`. */
  sawStoreClock(storeNow: number, at: number): void {
    this.skewMs = storeNow - at;
    if (Math.abs(this.skewMs) <= MAX_SKEW_MS || this.#isSkewReported) return;
    this.#isSkewReported = true;
    this.#options.log.warn(
      { skewMs: this.skewMs },
      "this machine's clock and the store's differ; schedules and delays go by this one, leases by the store's",
    );
  }

  #request(isNew: boolean): LeaseRequest {
    const { engineId, definitions, leaseMs, storage } = this.#options;
    return { engineId, definitions, isNew, leaseMs: storage.supports.manyProcesses ? leaseMs : ENDLESS_LEASE_MS };
  }

  async #hold(sentAt: number): Promise<LeaseHolder> {
    const { storage, clock, maxBlockedMs, leaseMs, log } = this.#options;
    const everyMs = Math.max(1, Math.floor(leaseMs / RENEWALS_PER_LEASE));
    const onRenewal = (renewal: Renewal): void => {
      try {
        this.#renewed(renewal);
      } catch (error) {
        log.error({ error }, "what follows from a renewal of the lease failed"); // nobody else would hear of it
      }
    };
    const request = this.#request(false);
    if (storage.holdLease) return storage.holdLease({ ...request, everyMs, maxBlockedMs, onRenewal });
    const renew = () => storage.renewLease(request);
    const renewal = new LeaseRenewal({ renew, leaseMs, everyMs, clock, onRenewal });
    renewal.start(sentAt);
    return renewal;
  }

  /** The next renewal finds the lease lost, for sure: what the engine owned has been given back by then. */
  #giveBack(): void {
    const { storage, engineId, log } = this.#options;
    storage.releaseLease(engineId).catch((error: unknown) => {
      log.warn({ error }, "what the engine may have lost could not be given back; trying again");
    });
  }

  #renewed(renewal: Renewal): void {
    const { log, onLost, onHeldAgain } = this.#options;
    if (renewal.kind === "failed") {
      if (this.#failure === undefined)
        log.warn({ error: renewal.error }, "the lease could not be renewed; trying again");
      this.#failure = renewal.error;
      return;
    }
    this.#failure = undefined;
    this.sawStoreClock(renewal.storeNow, renewal.at);
    if (renewal.kind !== "renewed") this.#isDoubtful = renewal.kind === "doubtful";
    if (this.#isDoubtful) return this.#giveBack();
    const losses = this.#holder?.losses() ?? 0;
    if (losses === this.#settledLosses) return onHeldAgain();
    this.#settledLosses = losses;
    log.warn({}, "the lease had run out, so the runs of this engine were given back; it takes up what nobody else has");
    onLost();
    onHeldAgain();
  }
}

/** A lease that nobody else could take over needs no renewing, so an idle engine has no timers. */
const ENDLESS_LEASE_MS = Number.POSITIVE_INFINITY;
