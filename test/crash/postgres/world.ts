import { join } from "node:path";
import { postgresStorage } from "@weftline/storage-postgres";
import type { Storage, TaskStatus } from "weftline";
import type { Ticks } from "../ticks.js";
import type { Sabotage } from "./sabotage.js";

/** What every process of one disturbance shares. */
export interface World {
  readonly connectionString: string;
  readonly schema: string;
  /** Where all logs are. */
  readonly folder: string;
  /** When `crash-tick` runs. */
  readonly ticks: Ticks;
  /** Whether the database tells everybody at once of what there is (NOTIFY). */
  readonly hints: boolean;
  readonly sabotage?: Sabotage;
}

/** What a host or a client is told on its command line, as JSON. */
export interface ProcessOptions extends World {
  /** Under which its lines and its faults are told. */
  readonly name: string;
}

/** The lease of all engines, in milliseconds. */
export const LEASE_MS = 1_500;
export const POLL_MS = 100;
/** How long each task takes, in milliseconds: most kills and pauses then meet tasks that run. */
export const WORK_MS = 15;

export const WITNESS = "witness.jsonl";
export const CLIENTS = "clients.jsonl";
/** What engines told their listeners. */
export const CONFIRMED = "confirmed.jsonl";
/** Stretches of time in which a host noticed that it stood still. */
export const STALLS = "stalls.jsonl";
/** What hosts asked the storage for, and were told. */
export const TOLD = "told.jsonl";
/** Stretches of time in which a host was told to block its event loop. */
export const BLOCKS = "blocks.jsonl";

/** What hosts print, and what the signal that asks for it is. */
export const STARTED = "started";
export const PROBED = "probed";
export const PROBE_SIGNAL = "SIGUSR2";
/** Blocks the event loop of a host for {@link BLOCK_MS}. */
export const BLOCK_SIGNAL = "SIGHUP";
/** Longer than a lease that nobody renews holds, in milliseconds. */
export const BLOCK_MS = 1.6 * LEASE_MS;

export function storageOf({ connectionString, schema, hints }: World): Storage {
  return postgresStorage({ connectionString, schema, notify: hints });
}

export function logOf({ folder }: World, name: string): string {
  return join(folder, name);
}

/** A call of the API: a line when it is made, and one with its outcome when it has returned. */
export interface ClientLine {
  readonly operation: "trigger" | "signal" | "cancel" | "result";
  readonly client: string;
  /** Unique among the calls of a client. */
  readonly call: number;
  /** The key of the run that it is about. */
  readonly key: string;
  readonly invokedAt: number;
  readonly returnedAt?: number;
  /** `unknown`: it may or may not have happened, as with a call that never returned. */
  readonly outcome?: "ok" | "fail" | "unknown";
  readonly runId?: string | undefined;
  /** Of a result: how the run ended, and what it returned. */
  readonly status?: string;
  readonly report?: unknown;
  readonly code?: string;
}

export interface ConfirmedLine {
  readonly engine: string;
  readonly runId: string;
  readonly task: string;
  readonly index: readonly number[];
  readonly attempt: number;
  readonly status: TaskStatus;
}
