import type { Clock } from "../clock.js";
import type { LeaseHolder, LeaseState, Renewal } from "../contracts/storage.js";
import { LeaseBoard } from "./lease-board.js";

export interface LeaseRenewalOptions {
  /** Asks the store once. */
  readonly renew: () => Promise<LeaseState>;
  readonly leaseMs: number;
  /** How often it is renewed, in milliseconds; after a failure four times as often. */
  readonly everyMs: number;
  /** Its `monotonicMs` is that of the board. */
  readonly clock: Pick<Clock, "now" | "monotonicMs" | "timer">;
  readonly onRenewal: (renewal: Renewal) => void;
  /** Where it is told how things stand. Default: one of its own. */
  readonly board?: LeaseBoard;
  /** Leaves the lease alone when the process has not beaten its board for so long, in milliseconds. Default: never. */
  readonly maxBlockedMs?: number;
}

/**
 * Renews a lease again and again, until it is stopped. The core uses it on the event loop of its process; adapters that
 * can, use it in a thread, where a blocked event loop does not stop it.
 */
export class LeaseRenewal implements LeaseHolder {
  readonly #options: LeaseRenewalOptions;
  readonly #board: LeaseBoard;
  #clearTimer: (() => void) | undefined;
  #renewing: Promise<void> = Promise.resolve();
  #isStopped = false;
  /** Of a renewal since the last answer nobody knows what came of it: it may have said that the lease was lost. */
  #isUnsure = false;

  constructor(options: LeaseRenewalOptions) {
    this.#options = options;
    this.#board = options.board ?? new LeaseBoard();
  }

  /** Goes on from a lease that was just taken. @param sentAt - When it was asked for, by the board's clock. */
  start(sentAt: number): void {
    this.#board.renewed(sentAt);
    this.#renewAfter(this.#options.everyMs);
  }

  remainingMs(): number {
    return this.#options.leaseMs - (this.#options.clock.monotonicMs() - this.#board.renewedAt);
  }

  losses(): number {
    return this.#board.losses;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#clearTimer?.();
    await this.#renewing;
  }

  #renewAfter(ms: number): void {
    if (this.#isStopped) return;
    const { clock } = this.#options;
    this.#clearTimer = clock.timer(clock.now() + ms, () => {
      this.#renewing = this.#renew();
    });
  }

  async #renew(): Promise<void> {
    const { everyMs } = this.#options;
    if (this.#isWedged()) return this.#renewAfter(everyMs);
    const renewal = await this.#ask();
    if (this.#isStopped) return;
    this.#renewAfter(renewal.kind === "failed" ? everyMs / 4 : everyMs);
    this.#options.onRenewal(renewal);
  }

  async #ask(): Promise<Renewal> {
    const { renew, clock } = this.#options;
    const sentAt = clock.monotonicMs();
    try {
      const { now: storeNow, lost } = await renew();
      const isDoubtful = !lost && this.#isUnsure && this.remainingMs() <= 0;
      this.#isUnsure = false;
      // In this order: whoever sees the new term also sees that the former one was lost.
      if (lost || isDoubtful) this.#board.lost();
      this.#board.renewed(sentAt);
      return { kind: lost ? "lost" : isDoubtful ? "doubtful" : "renewed", storeNow, at: clock.now() };
    } catch (error) {
      this.#isUnsure = true;
      return { kind: "failed", error };
    }
  }

  #isWedged(): boolean {
    const { maxBlockedMs = Number.POSITIVE_INFINITY, clock } = this.#options;
    return clock.monotonicMs() - this.#board.beatAt > maxBlockedMs;
  }
}
