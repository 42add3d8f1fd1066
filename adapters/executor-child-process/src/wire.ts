import type { ErrorRecord } from "weftline";
import type { Definitions, FromWorker, ToWorker } from "weftline/remote";

/** Before every message of ours: what task code sends by itself, or a library does, is not taken for one. */
const MARK = "weftline";

/** What a process is told first. */
export interface ChildStart {
  readonly kind: "start";
  readonly url: string;
  /** Processor time of one attempt, in milliseconds. */
  readonly cpuMs: number | undefined;
  readonly memoryLimitMb: number | undefined;
}

/** `close`: end the resources, and yourself. */
export type ToChild = ChildStart | ToWorker | { readonly kind: "close" };

export type FromChild =
  | FromWorker
  | { readonly kind: "ready"; readonly definitions: Definitions }
  | { readonly kind: "unfit"; readonly error: ErrorRecord }
  /** The process is to be used no more. */
  | { readonly kind: "worn"; readonly why: string }
  /** Written or thrown while no task ran, or by one that had ended. */
  | { readonly kind: "noise"; readonly level: "info" | "warn"; readonly text: string };

/** Written by the watchdog on a pipe of its own, right before it ends the process. */
export type Verdict = "memory" | "cpu";
export const VERDICT_FD = 4;

export function marked<Message>(message: Message): readonly [typeof MARK, Message] {
  return [MARK, message];
}

type Run = Extract<ToWorker, { readonly kind: "run" }>;

/**
 * A job as text where that keeps all of it: a structured clone of so many small members takes most of the time of a
 * round trip, a text next to none.
 */
export function markedRun(run: Run): readonly [typeof MARK, Run | string] {
  const { job, limits } = run;
  const isKept = Number.isFinite(job.graceMs) && Object.values(limits).every(Number.isFinite);
  return [MARK, isKept ? JSON.stringify(run) : run];
}

/** An end, in as few members as it takes: most attempts succeed, and have nothing else to say. */
export function markedEnd(
  end: Extract<FromWorker, { readonly kind: "ended" }>,
): readonly [typeof MARK, ...(readonly [FromWorker] | readonly [token: number, output: string])] {
  const { token, outcome } = end;
  const isPlain = outcome.kind === "succeeded" && Object.keys(outcome).length === 2;
  return isPlain ? [MARK, token, outcome.output] : [MARK, end];
}

/** @returns `undefined` for what is not ours. */
export function unmarked<Message>(received: unknown): Message | undefined {
  if (!Array.isArray(received) || received[0] !== MARK) return undefined;
  const [, first, output] = received as readonly unknown[];
  if (typeof first === "number") {
    return { kind: "ended", token: first, outcome: { kind: "succeeded", output } } as Message;
  }
  return (typeof first === "string" ? parsed(first) : first) as Message;
}

/** Members that are undefined have no text, and are there all the same. */
function parsed(text: string): Run {
  const { job, ...rest } = JSON.parse(text) as Run;
  return { ...rest, job: { ...job, run: { ...job.run, key: job.run.key, instant: job.run.instant } } };
}
