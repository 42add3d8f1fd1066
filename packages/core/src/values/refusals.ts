import { type ErrorCode, WeftlineError } from "../errors.js";
import type { ValueKind } from "./limits.js";

const NOT_SERIALIZABLE = {
  output: "OUTPUT_NOT_SERIALIZABLE",
  params: "PARAMS_NOT_SERIALIZABLE",
  item: "ITEM_NOT_SERIALIZABLE",
} as const satisfies Record<ValueKind, ErrorCode>;

const TOO_LARGE = {
  output: "OUTPUT_TOO_LARGE",
  params: "PARAMS_TOO_LARGE",
  item: "ITEM_TOO_LARGE",
} as const satisfies Record<ValueKind, ErrorCode>;

/** @param problem - What was found and where, then what to do: `function at $.a. Did you forget to call it?` */
export function notSerializable(kind: ValueKind, problem: string, cause?: unknown): WeftlineError {
  return new WeftlineError(NOT_SERIALIZABLE[kind], problem, { cause });
}

/** @param limit - What it is deeper than, such as `500 levels`. */
export function tooDeep(kind: ValueKind, limit: string, path: string): WeftlineError {
  const advice = "Flatten it, for example into a list of records that refer to each other by id.";
  return notSerializable(kind, `nested deeper than ${limit} at ${path}. ${advice}`);
}

/** @param problem - The size and the limit, such as `20000000 bytes, and 16777216 are allowed`. */
export function tooLarge(kind: ValueKind, problem: string): WeftlineError {
  const advice =
    "Store it elsewhere and hand over a reference (a path, a key or a URL), or raise `limits.maxValueBytes`.";
  return new WeftlineError(TOO_LARGE[kind], `the value takes ${problem}. ${advice}`);
}

/** Whether the runtime threw this because a recursion went too deep. */
export function isStackOverflow(thrown: unknown): boolean {
  return thrown instanceof RangeError && thrown.message.includes("call stack");
}
