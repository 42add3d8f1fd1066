import { WeftlineError } from "weftline";

/** SQLSTATE codes that mean something here, see https://www.postgresql.org/docs/current/errcodes-appendix.html */
const SCHEMA_GONE = new Set(["3F000", "42P01", "42883"]);
const CONFLICTS = new Set(["40001", "40P01"]);
const NOT_PREPARED = new Set(["26000", "42P05"]);
const LEASE_LOST = "WL001";
export const WRONG_ISOLATION = "WL002";
const TIMEOUTS = new Set(["57014", "55P03", "25P03", "25P04"]);
const DISK_FULL = "53100";
const OUT_OF_MEMORY = "53200";
const INTERNAL_ERROR = "XX000";
const NOT_ALLOWED = "42501";
const READ_ONLY = "25006";
const PLAN_OUTDATED = "0A000";
/** A statement was to write one row twice. */
export const ROW_TWICE = "21000";
/** There is a row of that key already. */
export const ALREADY_THERE = "23505";

/** The SQLSTATE of an error of the database, or the code of an error of the system; empty when it has none. */
export function codeOf(error: unknown): string {
  const code: unknown = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "";
}

/** Two transactions were in each other's way: the same call made again can succeed at once. */
export function isConflict(error: unknown): boolean {
  return CONFLICTS.has(codeOf(error));
}

/** The connection does not know a statement that was prepared, or knows another of its name. */
export function isUnprepared(error: unknown): boolean {
  return NOT_PREPARED.has(codeOf(error));
}

/** The database may have refused a value, and would do so again: one that is no text, or too large for it. */
export function isRefusal(error: unknown): boolean {
  const code = codeOf(error);
  if (code === INTERNAL_ERROR) return (error as Error).message.startsWith("invalid memory alloc request size");
  return code.startsWith("22") || code.startsWith("54") || code === OUT_OF_MEMORY;
}

/** An error that the database itself answered with: the connection is fit for the next call. */
export function isAnswer(error: unknown): boolean {
  const code = codeOf(error);
  if (!/^[0-9A-Z]{5}$/.test(code) || !("severity" in (error as object))) return false;
  return !(code.startsWith("08") || code.startsWith("57P") || code === READ_ONLY || code === PLAN_OUTDATED);
}

/** What callers are told: errors with a meaning for them by their code, all others as they are. */
export function translated(error: unknown, schema: string): unknown {
  const code = codeOf(error);
  if (error instanceof WeftlineError) return error;
  if (SCHEMA_GONE.has(code)) return schemaMissing(schema, error);
  if (code === LEASE_LOST) return leaseLost(error);
  if (code === DISK_FULL) {
    return new WeftlineError(
      "STORAGE_FULL",
      "The disk of the database is full. Make room; nothing that was confirmed is lost.",
      {
        cause: error,
        retryable: true,
      },
    );
  }
  if (TIMEOUTS.has(code)) return timedOut(`The database gave up: ${(error as Error).message}.`, error);
  if (code === NOT_ALLOWED) {
    const message = `The database user may not do this: ${(error as Error).message}. Give it all rights on the schema "${schema}" and what is in it.`;
    return new WeftlineError("STORAGE_INVALID", message, { cause: error });
  }
  return error;
}

export function timedOut(what: string, cause?: unknown): WeftlineError {
  const message = `${what} What was asked for may still happen. Look at the load and the locks of the database, or raise \`timeout\`.`;
  return new WeftlineError("STORAGE_TIMEOUT", message, { cause, retryable: true });
}

function schemaMissing(schema: string, cause?: unknown): WeftlineError {
  return new WeftlineError(
    "SCHEMA_MISSING",
    `The schema "${schema}", or a part of it, is not there (any more). If it was dropped, stop all engines, restore a backup or run \`weftline migrate\`, and start them again.`,
    { cause },
  );
}

function leaseLost(cause: unknown): WeftlineError {
  return new WeftlineError("LEASE_LOST", "Cannot write for an engine that holds no lease. Call renewLease() first.", {
    cause,
  });
}
