/**
 * Settles as `answer` does, or rejects with the signal's reason when that aborts first: code that waits for storage
 * through us cannot listen to its signal meanwhile.
 */
export async function unlessAborted<Value>(signal: AbortSignal, answer: Promise<Value>): Promise<Value> {
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([answer, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort!);
  }
}
