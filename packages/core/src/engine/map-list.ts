import type { TaskDefinition } from "../define/definition.js";
import { WeftlineError } from "../errors.js";
import { decode, type Encoded, encode, type ValueLimits } from "../values/codec.js";

/** An output has passed the engine's limits as a whole, so its items need not again. */
const NO_LIMITS: ValueLimits = { maxBytes: Number.POSITIVE_INFINITY, maxDepth: Number.POSITIVE_INFINITY };

/**
 * The items of a map, each encoded by itself.
 *
 * @param list - The items, or the encoded output that should be a list.
 * @throws {WeftlineError} `MAP_INVALID` when it is no list, `FANOUT_LIMIT` when it is longer than `maxItems`.
 */
export function readList(task: TaskDefinition, list: readonly Encoded[] | Encoded | undefined): readonly Encoded[] {
  const isEncoded = typeof list === "string";
  const items = isEncoded ? decode(list) : list;
  if (!Array.isArray(items)) {
    throw new WeftlineError(
      "MAP_INVALID",
      `Cannot expand map "${task.id}" as the output it runs over is no array but ${items === null ? "null" : typeof items}. Return an array from that task.`,
    );
  }
  if (items.length > task.maxItems) {
    throw new WeftlineError(
      "FANOUT_LIMIT",
      `Cannot expand map "${task.id}" to ${items.length} items as its limit is ${task.maxItems}. Put several things into one item, or raise maxItems.`,
    );
  }
  return isEncoded ? items.map((item) => encode(item, "item", NO_LIMITS)) : items;
}
