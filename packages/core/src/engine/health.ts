import type { EpochMs } from "../clock.js";
import type { Survey } from "../contracts/storage.js";
import { asText } from "../execute/as-text.js";
import type { LeaseFacts } from "./engine-lease.js";
import type { JournalFacts } from "./journal.js";

/** How an engine is. `red`: it does not do its work. `degraded`: it does, and somebody should look. */
export type HealthStatus = "green" | "degraded" | "red";

export interface HealthReason {
  readonly status: Exclude<HealthStatus, "green">;
  /** What it is about; branch on this. */
  readonly kind: "not-running" | "storage" | "writes" | "lease" | "clock-skew" | "backlog" | "unadoptable";
  /** What is wrong and what to do, for people. */
  readonly message: string;
}

export interface Health {
  readonly status: HealthStatus;
  /** The worst first. Empty when `green`. */
  readonly reasons: readonly HealthReason[];
  readonly engineId: string;
  /** When storage last confirmed something this engine wrote; `undefined`: it has written nothing so far. */
  readonly lastWriteAt: EpochMs | undefined;
  /** For how much longer its lease holds, in milliseconds; `undefined`: nobody else could take its runs over. */
  readonly leaseRemainingMs: number | undefined;
  /** How far the store's clock is ahead of this engine's, in milliseconds. */
  readonly clockSkewMs: number;
  /** Runs this engine owns. */
  readonly runs: number;
  /** Attempts that run. */
  readonly attempts: number;
  /** What storage says of all engines; `undefined`: it did not answer. */
  readonly survey: Survey | undefined;
}

export interface HealthFacts {
  readonly engineId: string;
  readonly isRunning: boolean;
  readonly now: EpochMs;
  readonly journal: JournalFacts;
  readonly lease: LeaseFacts;
  readonly clockSkewMs: number;
  readonly runs: number;
  readonly attempts: number;
  readonly survey: Survey | undefined;
  /** Why there is no survey. */
  readonly surveyError: unknown;
}

/** What has waited for so long to be taken up is a backlog, in milliseconds. */
const BACKLOG_MS = 60_000;
/** Writes that fail for longer than this keep everything from going on, in milliseconds. */
const MAX_FAILING_MS = 10_000;
const MAX_SKEW_MS = 1_000;

/** What follows from the facts. */
export function healthOf(facts: HealthFacts): Health {
  const reasons = [...rules(facts)].sort((a, b) => RANK[a.status] - RANK[b.status]);
  return {
    status: reasons[0]?.status ?? "green",
    reasons,
    engineId: facts.engineId,
    lastWriteAt: facts.journal.lastWriteAt,
    leaseRemainingMs: facts.lease.remainingMs,
    clockSkewMs: facts.clockSkewMs,
    runs: facts.runs,
    attempts: facts.attempts,
    survey: facts.survey,
  };
}

const RANK = { red: 0, degraded: 1 };

function* rules(facts: HealthFacts): Generator<HealthReason> {
  if (!facts.isRunning) {
    yield { status: "red", kind: "not-running", message: "The engine has not been started, or was stopped." };
  }
  yield* ofStorage(facts);
  yield* ofLease(facts);
  yield* ofRuns(facts);
}

function* ofStorage({ survey, surveyError, journal, now }: HealthFacts): Generator<HealthReason> {
  if (survey === undefined) {
    const message = `Storage does not answer: ${messageOf(surveyError)}. Runs wait until it does.`;
    yield { status: "red", kind: "storage", message };
  }
  if (journal.failingSince !== undefined) {
    const ms = now - journal.failingSince;
    const message = `Storage has confirmed no write for ${seconds(ms)}: ${messageOf(journal.failure)}. What happened since then is sent until it does.`;
    yield { status: ms > MAX_FAILING_MS ? "red" : "degraded", kind: "writes", message };
  }
}

function* ofLease({ lease, clockSkewMs }: HealthFacts): Generator<HealthReason> {
  if (lease.remainingMs !== undefined && lease.remainingMs <= 0) {
    const why = lease.failure === undefined ? "this process was blocked or suspended" : messageOf(lease.failure);
    yield {
      status: "red",
      kind: "lease",
      message: `The lease has run out: ${why}. Nothing starts here until it is renewed, and other engines take its runs over.`,
    };
  } else if (lease.failure !== undefined) {
    yield {
      status: "degraded",
      kind: "lease",
      message: `The lease could not be renewed: ${messageOf(lease.failure)}.`,
    };
  }
  if (Math.abs(clockSkewMs) > MAX_SKEW_MS) {
    yield {
      status: "degraded",
      kind: "clock-skew",
      message: `The store's clock is ${seconds(Math.abs(clockSkewMs))} ${clockSkewMs > 0 ? "ahead of" : "behind"} this machine's. Set both by NTP: schedules go by this one.`,
    };
  }
}

function* ofRuns({ survey, now }: HealthFacts): Generator<HealthReason> {
  if (survey === undefined) return;
  const { runs, oldestAt } = survey.backlog;
  if (oldestAt !== undefined && now - oldestAt > BACKLOG_MS) {
    yield {
      status: "degraded",
      kind: "backlog",
      message: `${runs} runs are due and nobody has taken them up, one for ${seconds(now - oldestAt)}. Start another engine, or look at maxActiveRuns.`,
    };
  }
  for (const { pipeline, definition, runs: count, runIds } of survey.unadoptable) {
    yield {
      status: "degraded",
      kind: "unadoptable",
      message: `NO_ENGINE_FOR_DAG: ${count} runs of pipeline "${pipeline}" wait for an engine that has version ${definition} of it (${runIds.slice(0, 3).join(", ")}${count > 3 ? ", …" : ""}). Start one, carry them over with runs.remap(), or end them with runs.cancel().`,
    };
  }
}

function seconds(ms: number): string {
  return ms < 120_000 ? `${Math.round(ms / 100) / 10} s` : `${Math.round(ms / 60_000)} min`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : asText(error);
}
