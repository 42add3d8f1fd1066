import { boundText } from "../values/text.js";

const MAX_SHOWN = 80;

/** A value of any kind as it appears in a message: texts quoted and shortened, objects by their kind alone. */
export function show(value: unknown): string {
  switch (typeof value) {
    case "string":
      return `"${boundText(value, MAX_SHOWN)}"`;
    case "function":
      return "a function";
    case "object":
      if (value === null) return "null";
      return Array.isArray(value) ? "an array" : "an object";
    case "bigint":
      return boundText(String(value), MAX_SHOWN);
    default:
      return String(value);
  }
}
