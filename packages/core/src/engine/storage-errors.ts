import { WeftlineError } from "../errors.js";

/** Storage has said no: asking again would give the same answer. */
export function isDefinite(error: unknown): boolean {
  return error instanceof WeftlineError && !error.retryable;
}

/** The engine held no lease when storage was asked: nothing was done. */
export function isLeaseLost(error: unknown): boolean {
  return error instanceof WeftlineError && error.code === "LEASE_LOST";
}
