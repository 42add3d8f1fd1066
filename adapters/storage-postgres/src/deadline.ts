import { timedOut } from "./errors.js";

// Captured when the module loads, so that a host's fake timers cannot stop it.
const { setTimeout: startTimeout, clearTimeout: stopTimeout } = globalThis;
const monotonicMs = performance.now.bind(performance);

/** When a call has to be over. */
export class Deadline {
  readonly #at: number;
  readonly #timeoutMs: number;
  #error: Error | undefined;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#at = monotonicMs() + timeoutMs;
  }

  get remainingMs(): number {
    return this.#at - monotonicMs();
  }

  /** What a call that is not over by then rejects with. */
  get error(): Error {
    this.#error ??= timedOut(`The database did not answer within ${this.#timeoutMs} ms.`);
    return this.#error;
  }

  /** @throws {WeftlineError} `STORAGE_TIMEOUT` when it is over before `work` is. Nobody waits for that any more then. */
  async limit<Result>(work: Promise<Result>): Promise<Result> {
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<never>((_, reject) => {
      timer = startTimeout(() => reject(this.error), Math.max(0, this.remainingMs));
    });
    try {
      return await Promise.race([work, over]);
    } finally {
      stopTimeout(timer);
      work.catch(() => undefined);
    }
  }
}

/** Waits for `work`, but no longer than the signal lets it. */
export async function whileWanted<Result>(
  signal: AbortSignal | undefined,
  work: () => Promise<Result>,
): Promise<Result> {
  if (signal === undefined) return work();
  signal.throwIfAborted();
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
  });
  const working = work();
  try {
    return await Promise.race([working, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    working.catch(() => undefined);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => startTimeout(resolve, ms));
}
