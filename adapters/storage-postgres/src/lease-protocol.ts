import { ERROR_CODES, type ErrorCode, type HoldLeaseRequest, type Renewal, WeftlineError } from "weftline";
import type { PostgresSettings } from "./options.js";

/** What the thread that renews a lease is started with. */
export interface LeaseThreadData {
  readonly settings: PostgresSettings;
  readonly request: Omit<HoldLeaseRequest, "onRenewal">;
  /** Memory of the board that both sides look at. */
  readonly board: SharedArrayBuffer;
  /** When the lease was last asked for, by {@link sharedMonotonicMs}. */
  readonly sentAt: number;
}

/** What the thread says: how a renewal went. Errors lose their class on the way. */
export type SentRenewal = Exclude<Renewal, { kind: "failed" }> | { readonly kind: "failed"; readonly error: SentError };

interface SentError {
  readonly message: string;
  readonly code: string | undefined;
}

/** What the thread is told: end. */
export const STOP = "stop";

const { bigint: hrtime } = process.hrtime;

/** Milliseconds of a clock that all threads of a process share and that never goes back. `performance.now()` begins anew in each. */
export function sharedMonotonicMs(): number {
  return Number(hrtime() / 1_000n) / 1_000;
}

export function toSent(renewal: Renewal): SentRenewal {
  if (renewal.kind !== "failed") return renewal;
  const { error } = renewal;
  const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
  return { kind: "failed", error: { message: error instanceof Error ? error.message : String(error), code } };
}

export function fromSent(sent: SentRenewal): Renewal {
  if (sent.kind !== "failed") return sent;
  const { message, code } = sent.error;
  const known = ERROR_CODES.find((name): name is ErrorCode => name === code);
  if (known !== undefined) {
    return { kind: "failed", error: new WeftlineError(known, message.replace(`${known}: `, "")) };
  }
  return { kind: "failed", error: Object.assign(new Error(message), code === undefined ? undefined : { code }) };
}
