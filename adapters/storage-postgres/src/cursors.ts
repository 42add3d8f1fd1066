import { WeftlineError } from "weftline";

/** A place in a listing: whole numbers, as text since some are the database's and may be larger than a number can be. */
export type Place = readonly string[];

/** @param listing - What is listed; a cursor is good for that alone. */
export function cursorOf(listing: string, place: readonly (string | number)[]): string {
  return `${listing}:${place.join(".")}`;
}

/** @returns `undefined`: the beginning. @throws {WeftlineError} `CURSOR_INVALID`. */
export function placeOfCursor(listing: string, cursor: string | undefined): Place | undefined {
  if (cursor === undefined) return undefined;
  const match = /^([a-z-]+):(-?\d{1,18}(?:\.-?\d{1,18})*)$/.exec(cursor);
  if (match?.[1] === listing) return match[2]!.split(".");
  throw new WeftlineError(
    "CURSOR_INVALID",
    `Cannot go on from cursor "${cursor.slice(0, 60)}" in a listing of ${listing}. Pass the \`next\` of a page of the same listing, unchanged.`,
  );
}
