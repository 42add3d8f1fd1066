import type { Clock } from "../clock.js";
import type { Storage } from "../contracts/storage.js";
import type { Logger } from "../logger.js";
import type { Random } from "../random.js";

/** How often old runs are looked for, in milliseconds. */
const EVERY_MS = 3_600_000;
/** So many runs are deleted in one change, so that nobody waits long behind it. */
const BATCH = 200;

export interface RetentionOptions {
  readonly storage: Pick<Storage, "prune">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Deletes finished runs that are old enough, some at a time. */
export class Retention {
  readonly #options: RetentionOptions;
  #clearTimer: (() => void) | undefined;
  #working: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  /** Prunes from now on by itself. Of many engines each begins at another moment, and one that comes second finds nothing. */
  start(keepMs: number): void {
    const wait = (ms: number): void => {
      const { clock } = this.#options;
      this.#clearTimer = clock.timer(clock.now() + ms, () => {
        this.#working = this.#pruneInBackground(keepMs).then(() => {
          if (!this.#isStopped) wait(EVERY_MS);
        });
      });
    };
    wait(EVERY_MS * (0.1 + 0.9 * this.#options.random()));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#clearTimer?.();
    await this.#working;
  }

  /** Deletes runs that ended more than `keepMs` ago. @returns How many. */
  async prune(keepMs: number): Promise<number> {
    const { storage, clock } = this.#options;
    const before = clock.now() - keepMs;
    let deleted = 0;
    for (;;) {
      const batch = await storage.prune({ before, limit: BATCH });
      deleted += batch;
      if (batch === 0 || this.#isStopped) return deleted;
      await new Promise<void>((goOn) => clock.afterTurn(goOn));
    }
  }

  async #pruneInBackground(keepMs: number): Promise<void> {
    const { log } = this.#options;
    try {
      const deleted = await this.prune(keepMs);
      if (deleted > 0) log.info({ deleted }, "old runs were deleted, as the retention option asks");
    } catch (error) {
      log.warn({ error }, "old runs could not be deleted; trying again later");
    }
  }
}
