import type { AnyContext } from "../define/context.js";
import { decode } from "../values/codec.js";
import type { RunParts } from "./run-parts.js";

/**
 * What functions that give keys receive: params, items and facts, decoded when read. Asked in the engine, before an
 * attempt exists, so that there are neither inputs nor anything that belongs to an attempt.
 */
export function keyContext({ core, record, facts, outputs, state }: RunParts, instance: number): AnyContext {
  const { id, title } = state.plan.tasks[state.positionOf(instance)]!;
  const index = state.indexOf(instance);
  const item = (fromInnermost: number): unknown => {
    const encoded = outputs.itemsOf(instance).at(-fromInnermost);
    return encoded === undefined ? undefined : decode(encoded);
  };
  return {
    run: facts,
    task: { id, title },
    attempt: state.attempts[instance]! + 1,
    resources: core.resources.value,
    index: index.at(-1) ?? 0,
    get params() {
      return decode(record.params);
    },
    get item() {
      return item(1);
    },
    get outer() {
      return item(2);
    },
  } as Partial<AnyContext> as AnyContext;
}
