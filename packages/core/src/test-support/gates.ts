/** A promise with its two ends outside. */
export interface Gate<Value = void> {
  readonly passed: Promise<Value>;
  open(value: Value): void;
  fail(reason: unknown): void;
}

export function gate<Value = void>(): Gate<Value> {
  let open: (value: Value) => void = () => {};
  let fail: (reason: unknown) => void = () => {};
  const passed = new Promise<Value>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { passed, open, fail };
}

/** Settles when the signal aborts: what a well-behaved task that waits does. */
export function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = () => reject(signal.reason as Error);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}

/** Counts how many of something are under way at once. */
export class Meter {
  now = 0;
  max = 0;
  total = 0;

  async during<Value>(work: () => Promise<Value>): Promise<Value> {
    this.total++;
    this.max = Math.max(this.max, ++this.now);
    try {
      return await work();
    } finally {
      this.now--;
    }
  }
}

/** Adds an entry to a list and gives `value` on: for tasks that note that they ran. */
export function noted<Entry, Value>(list: Entry[], entry: Entry, value: Value): Value {
  list.push(entry);
  return value;
}
