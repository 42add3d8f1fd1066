import type { Sabotage } from "./sabotage.js";

/** What a host is told on its command line, as JSON. */
export interface HostOptions {
  /** Where the database is, and all logs. */
  readonly folder: string;
  /** At which failpoint it kills itself; left out: it runs to the end. */
  readonly killAt?: number;
  /** How much later than the machine's its clock is, in milliseconds. */
  readonly skewMs: number;
  /** The first process on its files. */
  readonly isFirst: boolean;
  /** The lease is kept by a thread, as the storage is given a driver's name and a file; no COMMIT is a failpoint then. */
  readonly leaseThread?: boolean;
  /** After how many pages SQLite writes its log back; left out: as the adapter says. */
  readonly checkpointPages?: number;
  /** Without a schedule, and without an audit in the database. */
  readonly isPlain?: true;
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
/** What hosts asked the storage for, and were told. */
export const TOLD = "told.jsonl";
/** Stretches of time in which a host blocked its event loop. */
export const BLOCKS = "blocks.jsonl";
/** When the instants of the schedule begin. */
export const TICKS = "ticks.json";

/** The lease of a host's engine, in milliseconds. */
export const LEASE_MS = 900;
export const POLL_MS = 50;
/** Longer than a lease that nobody renews holds, in milliseconds. */
export const BLOCK_MS = 1.5 * LEASE_MS;
/** Between two instants of the schedule, and from the first process's start to the last one. */
export const TICK_MS = 200;
export const TICKS_MS = 600;

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
