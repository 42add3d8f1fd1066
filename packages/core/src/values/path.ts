import { types } from "node:util";
import { boundText } from "./text.js";

const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;
const MAX_KEY_LENGTH = 80;
/** Segments shown at either end of a long path; people need the start and the end, not 500 levels. */
const SHOWN_AT_EACH_END = 10;

/**
 * A place inside a value, as people write it: `$.a.b[3]`, `$["x y"]`, `$.users.get("ada")`.
 *
 * @param containers - The objects passed on the way down, from the root.
 * @param segments - The way taken out of each of them: a property name, a position, or a map's key.
 */
export function formatPath(containers: readonly object[], segments: readonly unknown[]): string {
  const parts = segments.map((segment, level) => formatSegment(containers[level], segment));
  if (parts.length <= 2 * SHOWN_AT_EACH_END) return `$${parts.join("")}`;
  const hidden = parts.length - 2 * SHOWN_AT_EACH_END;
  const start = parts.slice(0, SHOWN_AT_EACH_END).join("");
  return `$${start} … [${hidden} more levels] … ${parts.slice(-SHOWN_AT_EACH_END).join("")}`;
}

function formatSegment(container: object | undefined, segment: unknown): string {
  if (types.isMap(container)) return `.get(${formatMapKey(segment)})`;
  if (typeof segment === "number") return `[${segment}]`;
  const key = boundText(String(segment), MAX_KEY_LENGTH);
  return IDENTIFIER.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

function formatMapKey(key: unknown): string {
  if (typeof key === "string") return JSON.stringify(boundText(key, MAX_KEY_LENGTH));
  // An object's own text could run the user's code, or be anything.
  const isObject = (typeof key === "object" && key !== null) || typeof key === "function";
  return isObject ? `[${typeof key}]` : boundText(String(key), MAX_KEY_LENGTH);
}
