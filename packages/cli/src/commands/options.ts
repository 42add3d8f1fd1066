/** What several commands read the same way, and do around their work. */
import { InvalidArgumentError } from "commander";
import { UsageError } from "../errors.js";

/** For options that may be given several times. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

export function parseCount(text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 1) return number;
  throw new InvalidArgumentError("Give a whole number from 1.");
}

/** `a,b,c` as a list; empty parts do not count. */
export function parseList(text: string): readonly string[] {
  const parts = text.split(",").map((part) => part.trim());
  const list = parts.filter((part) => part !== "");
  if (list.length > 0) return list;
  throw new InvalidArgumentError("Give at least one name.");
}

/** The index of an item: `3`, or `3,0` inside a list. */
export function parseIndex(text: string): readonly number[] {
  const index = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  if (index.every((number) => Number.isSafeInteger(number) && number >= 0)) return index;
  throw new InvalidArgumentError("Give the index of an item, from 0, as 3, or 3,0 in a list of lists.");
}

/** @throws {UsageError} naming what there is. */
export function checkOneOf(values: readonly string[], known: readonly string[], what: string): void {
  const unknown = values.find((value) => !known.includes(value));
  if (unknown !== undefined) throw new UsageError(`There is no ${what} "${unknown}". Use ${known.join(", ")}.`);
}

/** What every command about a run says of its argument. */
export const RUN_ARGUMENT = "its id, a beginning or end of it, or last";
