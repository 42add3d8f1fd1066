import { type CallOptions, WeftlineError } from "weftline";
import { isBusy, toStorageError } from "./sqlite-errors.js";

/** Writes that were asked for together share a transaction until they have taken so long, in milliseconds. */
const MAX_BATCH_MS = 20;
/** The longest pause between two tries, in milliseconds. */
const MAX_PAUSE_MS = 50;

const { setImmediate: startImmediate, setTimeout: startTimeout } = globalThis;
const now = performance.now.bind(performance);

interface Write {
  readonly work: () => unknown;
  readonly signal: AbortSignal | undefined;
  /** When it is given up, by `performance.now()`. */
  readonly deadline: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: unknown) => void;
}

export interface WriteQueueOptions {
  readonly file: string;
  readonly busyTimeoutMs: number;
  /** Does the work in a transaction that writes: now, or not at all. */
  readonly transact: <Value>(work: () => Value) => Value;
}

/**
 * Writes that wait for their turn. Those that were asked for in one turn of the event loop share a transaction, so that
 * many small ones wait for the disk once.
 */
export class WriteQueue {
  readonly #options: WriteQueueOptions;
  readonly #waiting: Write[] = [];
  #isDraining = false;

  constructor(options: WriteQueueOptions) {
    this.#options = options;
  }

  add<Value>(work: () => Value, { signal }: CallOptions): Promise<Value> {
    return new Promise<Value>((resolve, reject) => {
      const deadline = now() + this.#options.busyTimeoutMs;
      this.#waiting.push({ work, signal, deadline, resolve: resolve as Write["resolve"], reject });
      if (this.#isDraining) return;
      this.#isDraining = true;
      startImmediate(() => void this.#drain());
    });
  }

  /** Those that have not begun will not. */
  refuseAll(reason: unknown): void {
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
  }

  async #drain(): Promise<void> {
    for (let tries = 0; this.#waiting.length > 0; ) {
      this.#dropAborted();
      const isLocked = this.#writeSome();
      tries = isLocked ? tries + 1 : 0;
      if (isLocked) await pause(tries);
      else if (this.#waiting.length > 0) await new Promise((resolve) => startImmediate(resolve));
    }
    this.#isDraining = false;
  }

  #dropAborted(): void {
    for (const write of this.#waiting.splice(0)) {
      if (write.signal?.aborted) write.reject(write.signal.reason);
      else this.#waiting.push(write);
    }
  }

  /** @returns Whether somebody else holds the lock. */
  #writeSome(): boolean {
    const batch = [...this.#waiting];
    if (batch.length === 0) return false;
    try {
      const values = this.#options.transact(() => runSome(batch));
      this.#waiting.splice(0, values.length);
      values.forEach((value, place) => {
        batch[place]!.resolve(value);
      });
    } catch (error) {
      if (isBusy(error)) {
        this.#giveUpLate(error);
        return true;
      }
      this.#writeFirst(batch.length === 1 ? error : undefined);
    }
    return false;
  }

  /**
   * One of a batch does not go: each gets a transaction of its own, so that the others do not suffer.
   *
   * @param error - Where it was alone: why it does not go.
   */
  #writeFirst(error: unknown): void {
    const write = this.#waiting.shift()!;
    if (error !== undefined) return write.reject(toStorageError(error, this.#options.file));
    try {
      write.resolve(this.#options.transact(write.work));
    } catch (own) {
      if (isBusy(own)) this.#waiting.unshift(write);
      else write.reject(toStorageError(own, this.#options.file));
    }
  }

  #giveUpLate(error: unknown): void {
    for (const write of this.#waiting.splice(0)) {
      if (now() > write.deadline) write.reject(timedOut(this.#options, error));
      else this.#waiting.push(write);
    }
  }
}

/** As many as go in the time. */
function runSome(batch: readonly Write[]): unknown[] {
  const since = now();
  const values: unknown[] = [];
  for (const { work } of batch) {
    values.push(work());
    if (now() - since > MAX_BATCH_MS) break;
  }
  return values;
}

/** Does something again as long as others hold the lock. @param assertUsable - Throws when it is not wanted any more. */
export async function retryWhileBusy<Value>(
  work: () => Value,
  options: Pick<WriteQueueOptions, "file" | "busyTimeoutMs">,
  assertUsable: () => void,
): Promise<Value> {
  const deadline = now() + options.busyTimeoutMs;
  for (let tries = 0; ; tries++) {
    assertUsable();
    try {
      return work();
    } catch (error) {
      if (!isBusy(error)) throw toStorageError(error, options.file);
      if (now() > deadline) throw timedOut(options, error);
    }
    await pause(tries);
  }
}

function timedOut(
  { file, busyTimeoutMs }: Pick<WriteQueueOptions, "file" | "busyTimeoutMs">,
  error: unknown,
): WeftlineError {
  return new WeftlineError(
    "STORAGE_TIMEOUT",
    `Others have kept "${file}" locked for longer than ${busyTimeoutMs} ms. ` +
      "Look for a process that holds a transaction open, or raise `busyTimeout`.",
    { cause: error, retryable: true },
  );
}

/** Grows with each try, and has chance in it, so that those who wait do not meet again and again. */
function pause(tries: number): Promise<void> {
  const ms = Math.min(MAX_PAUSE_MS, 2 ** Math.min(tries, 10)) * (0.5 + Math.random() / 2);
  return new Promise((resolve) => startTimeout(resolve, ms));
}
