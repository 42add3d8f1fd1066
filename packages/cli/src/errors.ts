import { type ErrorRecord, toErrorRecord } from "weftline";
import { plainLine, plainLines } from "./text.js";

/** What the process ends with; documented in `weftline run --help`. */
export const EXIT_CODES = {
  succeeded: 0,
  failed: 1,
  /** The command line, the file or the definition is wrong; nothing ran. */
  usage: 2,
  cancelled: 3,
  /** Ctrl-C, by the shells' convention 128 + SIGINT. */
  interrupted: 130,
} as const;

/** The command cannot be carried out as it was given. Its message is all a person needs: it is shown without a stack. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Whether the person at the terminal can mend it: our own refusals and those of the engine. */
export function isUsageError(thrown: unknown): boolean {
  if (thrown instanceof UsageError) return true;
  // By name, as pipelines come with their own copy of the library.
  return thrown instanceof Error && thrown.name === "WeftlineError";
}

/** An error that ends the command, as the text for standard error. */
export function describeThrown(thrown: unknown, showStack: boolean): string {
  const record = toErrorRecord(thrown);
  if (thrown instanceof UsageError) {
    const stack = showStack && record.cause ? describeRecord(record.cause, showStack) : [];
    return [`error: ${plainLines(record.message).join("\n")}`, ...stack].join("\n");
  }
  const [first = "", ...rest] = describeRecord(record, showStack);
  return [`error: ${first}`, ...rest].join("\n");
}

/** An error with its causes, for people: the first line stands for itself, the others are indented below it. */
export function describeRecord(record: ErrorRecord, showStack: boolean): string[] {
  const lines = [...ownLines(record, showStack)];
  for (const error of record.errors ?? []) lines.push(...nested("one of them: ", error, showStack));
  if (record.cause) lines.push(...nested("caused by ", record.cause, showStack));
  return lines;
}

/** The same in one line. */
export function describeBriefly(record: ErrorRecord): string {
  return plainLine(ownText(record));
}

function ownLines(record: ErrorRecord, showStack: boolean): string[] {
  const [first = "", ...more] = plainLines(ownText(record));
  const stack = showStack && record.stack ? stackFrames(record.stack) : [];
  return [first, ...more.map((line) => `  ${line}`), ...stack.map((line) => `    ${line}`)];
}

function ownText({ name, message, code }: ErrorRecord): string {
  // Our own messages begin with their code, which says more than the class.
  if (code !== undefined && message.startsWith(`${code}: `)) return message;
  const text = message === "" ? name : `${name}: ${message}`;
  return code === undefined || text.includes(code) ? text : `${text} (${code})`;
}

function nested(prefix: string, record: ErrorRecord, showStack: boolean): string[] {
  const [first = "", ...rest] = describeRecord(record, showStack);
  return [`  ${prefix}${first}`, ...rest.map((line) => `  ${line}`)];
}

function stackFrames(stack: string): string[] {
  return plainLines(stack)
    .map((line) => line.trim())
    .filter((line) => line.startsWith("at "));
}
