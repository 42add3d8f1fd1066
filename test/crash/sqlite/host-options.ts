import type { Sabotage } from "./sabotage.js";

/** What a host is told on its command line, as JSON. */
export interface HostOptions {
  /** Where the database is, and all logs. */
  readonly folder: string;
  /** At which failpoint it kills itself; left out: it runs to the end. */
  readonly killAt?: number;
  /** How much later than the machine's its clock is, in milliseconds. */
  readonly skewMs: number;
  /** After how many pages SQLite writes its log back; left out: as the adapter says. */
  readonly checkpointPages?: number;
  /** Keeps what it asks the storage for, and copies of the files at these failpoints: for cutting the log. */
  readonly record?: { readonly every: number };
  readonly sabotage?: Sabotage;
}

/** Of the files in a host's folder. */
export const DATABASE = "weftline.db";
export const WITNESS = "witness.jsonl";
/** What the engine told its listeners, and clients were answered. */
export const CONFIRMED = "confirmed.jsonl";
export const CLIENTS = "clients.jsonl";
export const STALLS = "stalls.jsonl";
export const KILLED_AT = "killed-at";
export const CALLS = "calls.jsonl";

/** The lease of a host's engine, in milliseconds. */
export const LEASE_MS = 900;
export const POLL_MS = 50;

export interface ConfirmedLine {
  readonly runId: string;
  readonly task: string;
  readonly index: readonly number[];
  readonly status: string;
}

/** A call of the API: a line when it is made, and one with its outcome when it has returned. */
export interface ClientLine {
  readonly operation: "trigger" | "signal";
  /** Tells calls apart. */
  readonly invokedAt: number;
  readonly returnedAt?: number;
  readonly outcome?: "ok" | "fail";
  readonly runId?: string | undefined;
  readonly code?: string;
}
