import { stripVTControlCharacters } from "node:util";
import { createColors } from "picocolors";
import stringWidth from "string-width";
import type { CliIo } from "./io.js";

export type Colors = ReturnType<typeof createColors>;

/** `NO_COLOR` and `FORCE_COLOR` count when they are set to anything but the empty text. */
export function colorsFor({ env, isTTY }: Pick<CliIo, "env" | "isTTY">): Colors {
  if (env.NO_COLOR) return createColors(false);
  if (env.FORCE_COLOR) return createColors(env.FORCE_COLOR !== "0");
  return createColors(isTTY && env.TERM !== "dumb");
}

// Control characters, and the marks that make a terminal show text in another order than it is written.
const UNSAFE = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
const UNSAFE_IN_LINES = /(?!\n)[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** Text from users as one line that can do nothing to a terminal. */
export function plainLine(text: string): string {
  return stripVTControlCharacters(text).replace(/\s+/g, " ").replace(UNSAFE, "").trim();
}

/** The same for text of several lines, whose breaks are kept. */
export function plainLines(text: string): string[] {
  const unified = stripVTControlCharacters(text).replace(/\r\n?/g, "\n").replace(/\t/g, "  ");
  return unified.replace(UNSAFE_IN_LINES, "").split("\n");
}

const graphemes = new Intl.Segmenter();

/** The beginning of a text, at most `width` terminal columns wide; what is cut ends in `…`. */
export function truncate(text: string, width: number): string {
  // A grapheme may take no column but some characters; nobody reads so far into text that long.
  const bounded = text.slice(0, width * 8);
  if (bounded.length === text.length && stringWidth(text) <= width) return text;
  if (width < 1) return "";
  let used = 0;
  let kept = "";
  for (const { segment } of graphemes.segment(bounded)) {
    used += stringWidth(segment);
    if (used > width - 1) break;
    kept += segment;
  }
  return `${kept}…`;
}

export function padEnd(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - stringWidth(text)));
}

export function widest(texts: readonly string[]): number {
  return texts.reduce((width, text) => Math.max(width, stringWidth(text)), 0);
}

/** `1 task`, `2 tasks`. */
export function count(number: number, noun: string): string {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** A length of time at a glance: `340ms`, `1.2s`, `2m 05s`, `1h 02m`, `3d 04h`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))}ms`;
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)}s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m ${twoDigits(seconds % 60)}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1_440) return `${Math.floor(minutes / 60)}h ${twoDigits(minutes % 60)}m`;
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)}d ${twoDigits(hours % 24)}h`;
}

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
] as const;

/** A length of time as an option states it, to the millisecond: `90s`, `10m`, `1500ms`. */
export function exactDuration(ms: number): string {
  const [unit, length] = UNITS.find(([, length]) => ms > 0 && ms % length === 0) ?? ["ms", 1];
  return `${ms / length}${unit}`;
}

/** A moment as people and programs read it, to the second: `2026-11-22T21:04:34Z`. */
export function moment(at: number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? String(at) : `${date.toISOString().slice(0, -5)}Z`;
}

export function bytes(size: number): string {
  if (size < 1_000) return `${size} B`;
  if (size < 999_950) return `${(size / 1_000).toFixed(1)} kB`;
  return `${(size / 1_000_000).toFixed(1)} MB`;
}

/** `a, b and 3 more`. */
export function shortList(names: readonly string[], limit: number): string {
  if (names.length <= limit) return names.join(", ");
  return `${names.slice(0, limit).join(", ")} and ${names.length - limit} more`;
}

function twoDigits(number: number): string {
  return String(number).padStart(2, "0");
}
