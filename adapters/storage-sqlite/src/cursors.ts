import { type Page, type PageRequest, WeftlineError } from "weftline";
import type { SqliteValue } from "./driver.js";

/** Where the record before a page stands: the values of the columns that a listing is sorted by. */
export type Place = readonly (number | string)[];

/** The listings there are, as cursors name them. */
export type Listing =
  | "runs"
  | "tasks"
  | "attempts"
  | "logs"
  | "metrics"
  | "artifacts"
  | "steps"
  | "assets"
  | "load-tasks"
  | "load-steps";

/** What the places of a listing look like. */
const SHAPES: Readonly<Record<Listing, RegExp>> = {
  runs: /^-?\d+(\.\d+)?,\d+$/,
  tasks: /^\d+,[a-z\d]*,\d+$/,
  attempts: /^\d+,[a-z\d]*,\d+,\d+$/,
  logs: /^\d+$/,
  metrics: /^\d+$/,
  artifacts: /^\d+$/,
  steps: /^\d+$/,
  assets: /^\d+$/,
  "load-tasks": /^\d+,\d+,[a-z\d]*,\d+$/,
  "load-steps": /^\d+,\d+$/,
};

/** @throws {WeftlineError} `CURSOR_INVALID` */
export function readCursor(listing: Listing, cursor: string | undefined): Place | undefined {
  if (cursor === undefined) return undefined;
  const separator = cursor.indexOf(":");
  const place = cursor.slice(separator + 1);
  if (cursor.slice(0, separator) !== listing || !SHAPES[listing].test(place)) {
    throw new WeftlineError(
      "CURSOR_INVALID",
      `Cannot go on from cursor "${cursor.slice(0, 60)}" in a listing of ${listing}. Pass the \`next\` of a page of the same listing, unchanged.`,
    );
  }
  return place.split(",").map((part) => (/^-?[\d.]+$/.test(part) ? Number(part) : part));
}

/** A record with its place. */
export interface Placed<Record> {
  readonly record: Record;
  readonly place: Place;
}

/** @param found - One more than fit a page, where there are more. */
export function pageOf<Record>(
  listing: Listing,
  found: readonly Placed<Record>[],
  { limit }: PageRequest,
): Page<Record> {
  const items = found.slice(0, limit).map(({ record }) => record);
  return { items, next: found.length > limit ? `${listing}:${found[limit - 1]!.place.join()}` : undefined };
}

/** Conditions that all have to hold, and the values of their parameters. */
export class Conditions {
  readonly #parts: string[] = [];
  readonly values: SqliteValue[] = [];

  add(sql: string, ...values: readonly SqliteValue[]): this {
    this.#parts.push(sql);
    this.values.push(...values);
    return this;
  }

  /** For a filter that may be missing. */
  equal(column: string, value: SqliteValue | undefined): this {
    return value === undefined ? this : this.add(`${column} = ?`, value);
  }

  /** For a filter that may be missing; no value at all is like none. */
  among(column: string, values: readonly SqliteValue[] | undefined): this {
    return values === undefined ? this : this.add(`${column} IN (${values.map(() => "?").join(", ")})`, ...values);
  }

  and(others: Conditions): Conditions {
    const all = new Conditions();
    for (const conditions of [this, others]) {
      all.#parts.push(...conditions.#parts);
      all.values.push(...conditions.values);
    }
    return all;
  }

  get sql(): string {
    return this.#parts.join(" AND ");
  }
}
