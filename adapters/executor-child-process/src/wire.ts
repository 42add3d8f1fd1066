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

/** @returns `undefined` for what is not ours. */
export function unmarked<Message>(received: unknown): Message | undefined {
  return Array.isArray(received) && received[0] === MARK ? (received[1] as Message) : undefined;
}
