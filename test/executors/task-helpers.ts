import type { StandardSchemaV1 } from "@standard-schema/spec";

/** Takes any params, as what the tests say they are. */
export function params<Params>(): StandardSchemaV1<Params, Params> {
  return { "~standard": { version: 1, vendor: "tests", validate: (value) => ({ value: value as Params }) } };
}

/** Waits, and leaves no timer behind. */
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Settles when the signal aborts, as a well-behaved task that waits does. */
export function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = () => reject(signal.reason as Error);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}
