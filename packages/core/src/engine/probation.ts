import type { Clock } from "../clock.js";
import type { RunRecord } from "../contracts/records.js";

/** A suspect that has not taken its engine down for so long makes room for the next, in milliseconds. */
const PROBATION_MS = 5_000;

/**
 * When an engine dies, every run it owned is suspected of having brought that about, and only one of them did. Runs that
 * one more crash would quarantine are therefore taken up one at a time: the next crash is counted against nobody else.
 */
export class Probation {
  /** Runs with as many crashes are suspects. */
  readonly suspectFrom: number;
  readonly #clock: Clock;
  readonly #onOver: () => void;
  #onTrial: string | undefined;
  #clearTimer: (() => void) | undefined;

  /** @param onOver - Another suspect may be taken up. */
  constructor(clock: Clock, quarantineAfter: number, onOver: () => void) {
    this.suspectFrom = Math.max(1, quarantineAfter - 1);
    this.#clock = clock;
    this.#onOver = onOver;
  }

  /** How many suspects may be claimed now. */
  get room(): 0 | 1 {
    return this.#onTrial === undefined ? 1 : 0;
  }

  /** Takes note of a run that was claimed. */
  claimed({ id, crashes }: RunRecord): void {
    if (crashes < this.suspectFrom) return;
    this.#clearTimer?.();
    this.#onTrial = id;
    this.#clearTimer = this.#clock.timer(this.#clock.now() + PROBATION_MS, () => this.over(id));
  }

  /** The run has made progress, has ended, or is not ours any more. */
  over(runId: string): void {
    if (this.#onTrial !== runId) return;
    this.close();
    this.#onOver();
  }

  close(): void {
    this.#clearTimer?.();
    this.#clearTimer = undefined;
    this.#onTrial = undefined;
  }
}
