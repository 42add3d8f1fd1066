import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { UsageError } from "./errors.js";

export interface ParamsOptions {
  /** JSON, or `@file` with JSON in it. */
  readonly params?: string;
  /** `key=value` pairs, which go before those of `params`. */
  readonly pairs: readonly string[];
  readonly cwd: string;
}

/**
 * The params of a run; `undefined` when none were given.
 *
 * @throws {UsageError} that points at what is wrong.
 */
export function readParams({ params, pairs, cwd }: ParamsOptions): unknown {
  const base = params === undefined ? undefined : readJsonOption(params, cwd);
  if (pairs.length === 0) return base;
  if (base !== undefined && !isPlainObject(base)) {
    throw new UsageError("Cannot add --param to params that are no object. Give either of them.");
  }
  return { ...base, ...Object.fromEntries(pairs.map(readPair)) };
}

function readJsonOption(option: string, cwd: string): unknown {
  if (!option.startsWith("@"))
    return parseJson(option, "--params", `\nQuote it for your shell: --params '{"day":"2026-11-22"}'`);
  const file = option.slice(1);
  let text: string;
  try {
    text = readFileSync(resolve(cwd, file), "utf8");
  } catch (cause) {
    throw new UsageError(`Cannot read the params in ${file}: ${(cause as Error).message}`, { cause });
  }
  return parseJson(text.replace(/^\uFEFF/, ""), file, "");
}

/** A value that is no JSON is text, so that quotes are rarely needed: `-p day=2026-11-22 -p limit=5`. */
function readPair(pair: string): [string, unknown] {
  const equals = pair.indexOf("=");
  if (equals < 1) throw new UsageError(`Cannot read the param "${pair}". Write key=value.`);
  const text = pair.slice(equals + 1);
  try {
    return [pair.slice(0, equals), JSON.parse(text)];
  } catch {
    return [pair.slice(0, equals), text];
  }
}

function parseJson(text: string, where: string, hint: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const position = errorPosition(text, cause as SyntaxError);
    const before = text.slice(0, position).split("\n");
    const line = text.split("\n")[before.length - 1]!;
    const column = before.at(-1)!.length + 1;
    const problem =
      position >= text.length
        ? "it ends too early"
        : `unexpected "${String.fromCodePoint(text.codePointAt(position)!)}"`;
    const place = `line ${before.length}, column ${column}`;
    throw new UsageError(`Cannot read ${where} as JSON: ${problem} at ${place}\n${pointAt(line, column)}${hint}`, {
      cause,
    });
  }
}

const MAX_LINE = 70;

/** The line with a caret below the column; of a long line the part around it. */
function pointAt(line: string, column: number): string {
  const start = Math.max(0, Math.min(column - 1 - MAX_LINE / 2, line.length - MAX_LINE));
  return `  ${line.slice(start, start + MAX_LINE).replace(/\t/g, " ")}\n  ${" ".repeat(column - 1 - start)}^`;
}

/** V8 names the position in some of its messages only. Otherwise it is where the longest acceptable beginning ends. */
function errorPosition(text: string, error: SyntaxError): number {
  const named = /position (\d+)/.exec(error.message);
  if (named) return Number(named[1]);
  let good = 0;
  let bad = text.length + 1;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (isBeginning(text.slice(0, middle))) good = middle;
    else bad = middle;
  }
  return good;
}

function isBeginning(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    const { message } = error as SyntaxError;
    const position = /position (\d+)/.exec(message)?.[1];
    return position === undefined ? message.includes("end of JSON input") : Number(position) >= text.length;
  }
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
