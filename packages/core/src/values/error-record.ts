import { inspect, types } from "node:util";
import { boundText } from "./text.js";

/** An error as data: what crosses a thread, a process or a database. All texts are bounded and well-formed. */
export interface ErrorRecord {
  /** At most 256 characters. */
  readonly name: string;
  /** At most 8,192 characters. */
  readonly message: string;
  /** At most 256 characters; a numeric code is written as text. */
  readonly code?: string;
  /** At most 16,384 characters. */
  readonly stack?: string;
  readonly cause?: ErrorRecord;
  /** What an `AggregateError` collected; at most the first 10. */
  readonly errors?: readonly ErrorRecord[];
}

const MAX_NAME_LENGTH = 256;
const MAX_MESSAGE_LENGTH = 8_192;
const MAX_STACK_LENGTH = 16_384;
const MAX_DEPTH = 8;
const MAX_ERRORS = 10;
const MAX_SHOWN_KEYS = 100;
/** Causes and collected errors multiply; bounded together, a whole record stays at about 500,000 characters. */
const MAX_RECORDS = 20;

/**
 * Describes whatever was thrown, and never throws itself. A cause that leads back to an error
 * above it, and whatever is over the limits, is left out.
 */
export function toErrorRecord(thrown: unknown): ErrorRecord {
  return describe(thrown, { parents: [], recordsLeft: MAX_RECORDS - 1 });
}

interface Progress {
  /** The errors that lead to the one being described. */
  readonly parents: unknown[];
  recordsLeft: number;
}

function describe(thrown: unknown, progress: Progress): ErrorRecord {
  if (!isError(thrown)) return { name: "Error", message: describeValue(thrown), ...codeOf(thrown) };
  const name = read(thrown, "name");
  const message = read(thrown, "message");
  const stack = read(thrown, "stack");
  progress.parents.push(thrown);
  const record: ErrorRecord = {
    name: typeof name === "string" && name !== "" ? boundText(name, MAX_NAME_LENGTH) : "Error",
    message: typeof message === "string" ? boundText(message, MAX_MESSAGE_LENGTH) : showValue(message),
    ...codeOf(thrown),
    ...(typeof stack === "string" && { stack: boundText(stack, MAX_STACK_LENGTH) }),
    ...causeOf(thrown, progress),
    ...collectedBy(thrown, progress),
  };
  progress.parents.pop();
  return record;
}

function codeOf(thrown: unknown): { readonly code?: string } {
  const code = read(thrown, "code");
  return typeof code === "string" || typeof code === "number" ? { code: boundText(`${code}`, MAX_NAME_LENGTH) } : {};
}

function causeOf(error: object, progress: Progress): { readonly cause?: ErrorRecord } {
  const cause = read(error, "cause");
  const record = cause === undefined ? undefined : describeChild(cause, progress);
  return record === undefined ? {} : { cause: record };
}

function collectedBy(error: object, progress: Progress): { readonly errors?: readonly ErrorRecord[] } {
  const collected = read(error, "errors");
  const length = read(collected, "length");
  if (!isAggregate(error) || typeof length !== "number") return {};
  const records: ErrorRecord[] = [];
  for (let index = 0; index < Math.min(length, MAX_ERRORS); index += 1) {
    const record = describeChild(read(collected, index), progress);
    if (record !== undefined) records.push(record);
  }
  return { errors: records };
}

function describeChild(thrown: unknown, progress: Progress): ErrorRecord | undefined {
  const isOverLimit = progress.recordsLeft === 0 || progress.parents.length > MAX_DEPTH;
  if (isOverLimit || progress.parents.includes(thrown)) return undefined;
  progress.recordsLeft -= 1;
  return describe(thrown, progress);
}

function describeValue(thrown: unknown): string {
  // gRPC, database drivers and others throw plain objects that are errors in all but their class.
  const message = read(thrown, "message");
  return typeof message === "string" ? boundText(message, MAX_MESSAGE_LENGTH) : `Thrown value: ${showValue(thrown)}`;
}

function showValue(value: unknown): string {
  const room = MAX_MESSAGE_LENGTH - 100;
  if (typeof value === "string") return boundText(JSON.stringify(boundText(value, room)), room);
  try {
    if (isWide(value)) return `[object with more than ${MAX_SHOWN_KEYS} properties]`;
    const shown = inspect(value, {
      depth: 0,
      compact: true,
      breakLength: Number.POSITIVE_INFINITY,
      maxArrayLength: 20,
      maxStringLength: 500,
      // An object's own inspect method is the user's code.
      customInspect: false,
    });
    return boundText(shown, room);
  } catch {
    return `[${typeof value} that cannot be shown]`;
  }
}

/** Showing a plain object with a million properties would take seconds; `inspect()` bounds all else itself. */
function isWide(value: unknown): boolean {
  if (typeof value !== "object" || value === null || types.isProxy(value)) return false;
  const isPlain = (Object.getPrototypeOf(value) ?? Object.prototype) === Object.prototype;
  return isPlain && Object.keys(value).length > MAX_SHOWN_KEYS;
}

/** Errors of other realms too; a proxy whose traps throw is none. */
function isError(value: unknown): value is object {
  try {
    return types.isNativeError(value) || value instanceof Error;
  } catch {
    return false;
  }
}

/** Other errors keep anything in a property named `errors`. */
function isAggregate(error: object): boolean {
  try {
    return error instanceof AggregateError || read(error, "name") === "AggregateError";
  } catch {
    return false;
  }
}

/** A property of anything, or undefined when there is none or reading it throws. */
function read(target: unknown, key: string | number): unknown {
  try {
    return (target as Record<string | number, unknown> | null | undefined)?.[key];
  } catch {
    return undefined;
  }
}

/** The parts an `Error` is made of again; each is kept as it is, whatever its type. */
export interface ErrorParts {
  readonly name: unknown;
  readonly message: unknown;
  readonly stack?: unknown;
  readonly code?: unknown;
  readonly cause?: unknown;
  readonly errors?: unknown;
}

/** An `Error` with exactly these parts. Its class is `Error`, whatever its name: no class is looked up by name. */
export function buildError(parts: ErrorParts): Error {
  const error = new Error();
  // Not assigned: assigning makes enumerable properties, and on an error only `code` is one by custom.
  for (const key of ["message", "stack", "cause", "errors"] as const) {
    if (key === "stack" || parts[key] !== undefined) defineHidden(error, key, parts[key]);
  }
  if (parts.name !== error.name) defineHidden(error, "name", parts.name);
  return parts.code === undefined ? error : Object.assign(error, { code: parts.code });
}

function defineHidden(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, { value, writable: true, enumerable: false, configurable: true });
}

/** An `Error` with the record's name, message, code, stack and causes, to throw or to hand to people's own code. */
export function fromErrorRecord(record: ErrorRecord): Error {
  return buildError({
    ...record,
    // An error without a stack prints as nothing; the one of this place would point to the wrong code.
    stack: record.stack ?? `${record.name}: ${record.message}`,
    cause: record.cause && fromErrorRecord(record.cause),
    errors: record.errors?.map(fromErrorRecord),
  });
}

/** Longer than any chain that {@link toErrorRecord} makes. */
const MAX_CHAIN = 20;

/** One line for people: `Name: message (caused by: Name: message)`, down the whole chain. */
export function describeError(record: ErrorRecord): string {
  return describeChain(record, MAX_CHAIN);
}

function describeChain(given: ErrorRecord, left: number): string {
  // It may come from another library, or from code without types.
  const isRecord = typeof given?.name === "string" && typeof given.message === "string";
  const record = isRecord ? given : toErrorRecord(given);
  const message = record.message.replace(/\s+/g, " ").trim();
  const own = message === "" ? record.name : `${record.name}: ${message}`;
  if (record.cause === undefined || left === 0) return own;
  return `${own} (caused by: ${describeChain(record.cause, left - 1)})`;
}
