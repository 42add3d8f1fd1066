import type { NewRun } from "../contracts/records.js";
import type { HostTransaction } from "../contracts/storage.js";
import { WeftlineError } from "../errors.js";

export interface TriggerOptions {
  /**
   * Idempotency key, 1 to 500 characters: the same key with the same params gives the same run, for as long as that is
   * kept. Keys of different pipelines do not meet.
   */
  readonly key?: string;
  /** Not before this moment. Default: now. */
  readonly at?: Date | number;
  /** Runs with a higher one start, and their tasks too, before others. Any whole number. Default: 0. */
  readonly priority?: number;
  /** For finding runs again: up to 50 texts of 1 to 200 characters. */
  readonly tags?: readonly string[];
  /**
   * An open transaction of yours, on the database of the storage: the run is gone when that is rolled back, and starts
   * after its commit. Until then its handle knows of no run. Only where the storage `supports.hostTransactions`.
   */
  readonly tx?: HostTransaction;
}

const NO_TAGS: readonly string[] = Object.freeze([]);
const MAX_KEY_LENGTH = 500;
const MAX_TAG_LENGTH = 200;
const MAX_TAGS = 50;

/** @throws {WeftlineError} `QUERY_INVALID` for a key, tag or date that cannot be stored. */
export function triggerFacts({
  key,
  tags = [],
  at,
  priority = 0,
}: TriggerOptions): Pick<NewRun, "key" | "tags" | "priority"> {
  if (key !== undefined) checkText(key, "key", MAX_KEY_LENGTH);
  if (!Array.isArray(tags) || tags.length > MAX_TAGS) throw refuse("tags", `Give a list of at most ${MAX_TAGS} texts.`);
  for (const tag of tags) checkText(tag, "a tag", MAX_TAG_LENGTH);
  if (at !== undefined && !Number.isFinite(Number(at))) throw refuse("at", "Give a valid Date or epoch milliseconds.");
  if (!Number.isSafeInteger(priority)) throw refuse("priority", "Give a whole number; higher ones go first.");
  return { key, priority, tags: tags.length === 0 ? NO_TAGS : Object.freeze([...tags]) }; // the caller may go on with its own
}

/** Databases keep neither NUL nor half characters, and a key that was changed silently would be another key. */
function checkText(text: unknown, what: string, maxLength: number): void {
  if (
    typeof text === "string" &&
    text.length > 0 &&
    text.length <= maxLength &&
    !text.includes("\0") &&
    text.isWellFormed()
  )
    return;
  throw refuse(what, `Give a well-formed text of 1 to ${maxLength} characters without NUL.`);
}

function refuse(what: string, remedy: string): WeftlineError {
  return new WeftlineError("QUERY_INVALID", `Cannot start a run with this ${what}. ${remedy}`);
}
