import { parse, stringify } from "devalue";
import { WeftlineError } from "../errors.js";
import { checkedCopy } from "./checked-copy.js";
import { jsonRoom } from "./json-room.js";
import { DEFAULT_VALUE_LIMITS, NO_VALUE_LIMITS, type ValueKind, type ValueLimits } from "./limits.js";
import { isStackOverflow, tooDeep, tooLarge } from "./refusals.js";
import { REDUCERS, REVIVERS } from "./stored-types.js";

export { DEFAULT_VALUE_LIMITS, type ValueKind, type ValueLimits } from "./limits.js";

/**
 * A value in its stored form: text with the codec's version in front, well-formed and without NUL.
 *
 * - `j1:` and JSON, for the values JSON carries whole; readable in SQL.
 * - `d1:` and devalue's text, for all others.
 * - `u1:` alone, for undefined.
 *
 * A change of format gets a new prefix; the old ones stay readable for good.
 */
export type Encoded = string;

// Captured at load, as a task may replace what is global.
const { parse: parseJson, stringify: stringifyJson } = JSON;

const JSON_PREFIX = "j1:";
const DEVALUE_PREFIX = "d1:";
const UNDEFINED: Encoded = "u1:";
const PREFIX_LENGTH = 3;

/**
 * The stored form of a value. What it is decoded to equals the value; what cannot be kept is refused, never dropped.
 *
 * Kept: the JSON types, undefined (in properties and arrays too), NaN, the infinities, -0, BigInt, Date, Map, Set,
 * RegExp, URL, Error (its name, message, stack, code, cause and collected errors; its class becomes Error), Buffer,
 * typed arrays, ArrayBuffer, holes in arrays, objects without a prototype, a key named `__proto__`, any string.
 * Refused: functions, promises, streams, symbols, all other class instances, cycles.
 * Left out, as in JSON: properties that are not enumerable, and named properties of arrays and other built-ins. An
 * object that is referred to twice comes back as two.
 *
 * @param kind - What the value is; decides the code of a refusal.
 * @throws {WeftlineError} `…_NOT_SERIALIZABLE` with the place, or `…_TOO_LARGE`; never anything else, whatever the
 *   value's getters and proxies throw.
 */
export function encode(value: unknown, kind: ValueKind, limits: ValueLimits = DEFAULT_VALUE_LIMITS): Encoded {
  if (value === undefined) return UNDEFINED;
  const encoded = jsonText(value, limits) ?? devalueText(value, kind, limits);
  // One UTF-16 unit takes at most three bytes, so that most texts need no counting.
  if (encoded.length * 3 <= limits.maxBytes) return encoded;
  const bytes = Buffer.byteLength(encoded);
  if (bytes > limits.maxBytes) throw tooLarge(kind, `${bytes} bytes, and ${limits.maxBytes} are allowed`);
  return encoded;
}

/**
 * The value of a stored form, a new one on each call. Makes data only: no stored text can run code.
 *
 * @throws {WeftlineError} `VALUE_UNREADABLE` when the text is damaged or of a version this library does not know.
 */
export function decode(encoded: Encoded): unknown {
  if (encoded === UNDEFINED) return undefined;
  // Storage is other people's code; a column of the wrong type is found here.
  if (typeof encoded !== "string") throw unreadable(`it is not text but of type ${typeof encoded}`);
  const prefix = prefixOf(encoded);
  try {
    if (prefix === JSON_PREFIX) return parseJson(encoded.slice(PREFIX_LENGTH));
    if (prefix === DEVALUE_PREFIX) return parse(encoded.slice(PREFIX_LENGTH), REVIVERS);
  } catch {
    // Without its cause, as a parser's message quotes the data.
    throw unreadable(`text in format "${prefix}" (${encoded.length} characters) is damaged`);
  }
  throw unreadable(prefix === undefined ? "no format is named in front of it" : `its format is "${prefix}"`);
}

/**
 * The stored form of the array of these values, in their order. Limits do not apply again: each value has passed them.
 *
 * @throws {WeftlineError} `VALUE_UNREADABLE` when one has to be decoded and cannot be; `OUTPUT_TOO_LARGE` when the
 *   array is longer than the runtime's longest string.
 */
export function encodeList(items: readonly Encoded[]): Encoded {
  if (!items.every((item) => item.startsWith(JSON_PREFIX))) {
    return devalueText(items.map(decode), "output", NO_VALUE_LIMITS);
  }
  try {
    return `${JSON_PREFIX}[${items.map((item) => item.slice(PREFIX_LENGTH)).join(",")}]`;
  } catch (error) {
    throw asRefusal(error, "output");
  }
}

/**
 * Undefined when JSON does not carry the value whole, or reading it failed: the slow way then tells where. Getters are
 * read twice here, by the check and by the writing; one that answers with another type the second time is not noticed.
 */
function jsonText(value: unknown, limits: ValueLimits): Encoded | undefined {
  try {
    if (jsonRoom(value, limits.maxBytes, limits.maxDepth) < 0) return undefined;
    return JSON_PREFIX + stringifyJson(value);
  } catch {
    return undefined;
  }
}

function devalueText(value: unknown, kind: ValueKind, limits: ValueLimits): Encoded {
  const copy = checkedCopy(value, kind, limits);
  try {
    return DEVALUE_PREFIX + stringify(copy, REDUCERS, { operations: { identify } });
  } catch (error) {
    throw asRefusal(error, kind);
  }
}

/**
 * devalue writes what it has met before as a reference. Texts may be shared, objects not: what is referred to twice
 * comes back twice, in this format as in JSON, or adding a Date to a value would change what a reader may modify.
 */
function identify(value: unknown): unknown {
  return typeof value === "object" && value !== null ? {} : value;
}

/** A checked value fails for its size only, when limits were raised beyond what the stack or a string can hold. */
function asRefusal(error: unknown, kind: ValueKind): WeftlineError {
  if (isStackOverflow(error)) return tooDeep(kind, "the call stack allows", "$");
  return tooLarge(kind, "more characters than a string can have");
}

/** The format named in front of a stored value; undefined for what does not look like one. */
function prefixOf(encoded: Encoded): string | undefined {
  if (encoded.startsWith(JSON_PREFIX)) return JSON_PREFIX;
  return /^[a-z]+\d+:/.exec(encoded.slice(0, 16))?.[0];
}

function unreadable(problem: string): WeftlineError {
  const advice = "Read it with the version of this library that wrote it, or a newer one; if that fails, restore it.";
  return new WeftlineError("VALUE_UNREADABLE", `a stored value cannot be decoded: ${problem}. ${advice}`);
}
