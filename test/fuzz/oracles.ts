import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import { ERROR_CODES, WeftlineError } from "weftline";
import { isOwn } from "./cases.js";

/** Part of what another run keeps; nobody else may ever read it. */
export const SECRET = "secret-of-another-run-7f3a91";

/** A message is for people: whatever it quotes, it quotes in part. */
const MAX_MESSAGE = 20_000;
const CODES: ReadonlySet<string> = new Set(ERROR_CODES);
const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));

/** What a runtime says when a program stumbles, rather than refuses. */
const ACCIDENTS = [
  /Cannot (read|set|delete|destructure|convert|mix|access|define|assign|redefine|perform)/,
  /is not (a function|iterable|a constructor|defined|extensible|an object|async iterable)/,
  /Invalid (time value|array length|string length|count value)|Maximum call stack|toString\(\) radix/,
  /called on incompatible|private (field|member|method)|BigInt|Symbol value|undefined \(|of undefined|of null|null or undefined/,
  /circular structure|Unexpected token|JSON|Reduce of empty/,
];

/** The same inside of a message of ours, which quotes its cause. */
const STUMBLES = /Cannot read propert|Cannot destructure|is not a function(?!\. [A-Z])|is not iterable|Symbol value/;

/** What only somebody who knows the inside could have written. */
const INTERNALS: readonly (readonly [what: string, isIn: (text: string) => boolean])[] = [
  ["a path", (text) => text.includes(REPOSITORY) || /file:\/\/|node_modules|\/dist\/|node:internal/.test(text)],
  ["a stack", (text) => /\n\s+at .*[:)]\d*/.test(text)],
  ["SQL", (text) => /\b(SELECT .* FROM|INSERT INTO|UPDATE .* SET|DELETE FROM)\b/.test(text)],
  ["another run's secret", (text) => text.includes(SECRET)],
  ["how a runtime stumbles", (text) => STUMBLES.test(text)],
];

/**
 * Judges what a call was refused with.
 *
 * @param names - The arguments of the call, one of which a plain error has to name.
 * @returns What is wrong about it; `undefined`: it is as promised.
 */
export function faultOf(refusal: unknown, names: readonly string[]): string | undefined {
  if (isOwn(refusal) || isOfOwnProxy(refusal)) return undefined;
  if (!(refusal instanceof Error)) return `it threw no error: ${inspect(refusal, { depth: 0 }).slice(0, 200)}`;
  const { message } = refusal;
  if (typeof message !== "string") return "its message is no text";
  return leakOf(message) ?? (refusal instanceof WeftlineError ? faultOfCode(refusal) : faultOfPlain(refusal, names));
}

/** What a text for people tells of the inside, or tells at too great a length. */
export function leakOf(text: string): string | undefined {
  if (text.length > MAX_MESSAGE) return `its message has ${text.length} characters: ${text.slice(0, 120)}`;
  const leak = INTERNALS.find(([, isIn]) => isIn(text));
  return leak && `its message holds ${leak[0]}: ${text.slice(0, 300)}`;
}

function faultOfCode({ code, message }: WeftlineError): string | undefined {
  if (!CODES.has(code)) return `its code ${String(code)} is not documented`;
  if (!message.startsWith(`${code}: `)) return `its message does not begin with its code: ${message.slice(0, 200)}`;
  return undefined;
}

function faultOfPlain(error: Error, names: readonly string[]): string | undefined {
  const { message, name } = error;
  const shown = `${name}: ${message.slice(0, 200)}`;
  if (ACCIDENTS.some((pattern) => pattern.test(message))) return `it stumbled: ${shown}`;
  if (name !== "TypeError" && name !== "RangeError")
    return `it is neither coded nor a TypeError or RangeError: ${shown}`;
  return names.some((argument) => message.includes(argument)) ? undefined : `it names no argument: ${shown}`;
}

/** A proxy that was revoked, and a class that is called: it is what the caller handed over that fails. */
const OWN_FAULTS = /on a proxy that has been revoked|'ownKeys' on proxy|on proxy: trap|cannot be invoked without 'new'/;

function isOfOwnProxy(refusal: unknown): boolean {
  return refusal instanceof TypeError && OWN_FAULTS.test(refusal.message);
}
