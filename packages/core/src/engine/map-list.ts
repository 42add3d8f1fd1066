import type { TaskDefinition } from "../define/definition.js";
import { WeftlineError } from "../errors.js";
import { decode, type Encoded, encode } from "../values/codec.js";
import { NO_VALUE_LIMITS } from "../values/limits.js";

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
      `Cannot expand ${task.kind} "${task.id}" as the output it runs over is no array but ${items === null ? "null" : typeof items}. Return an array from that task.`,
    );
  }
  if (items.length > task.policy.maxItems) {
    throw new WeftlineError(
      "FANOUT_LIMIT",
      `Cannot expand ${task.kind} "${task.id}" to ${items.length} items as its limit is ${task.policy.maxItems}. Put several things into one item, or raise maxItems.`,
    );
  }
  return isEncoded ? items.map((item) => encode(item, "item", NO_VALUE_LIMITS)) : items;
}
