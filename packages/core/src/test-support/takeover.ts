import type { Engine } from "../engine/engine.js";
import type { EngineOptions } from "../engine/engine-options.js";
import { startedEngine } from "./engines.js";

/** An engine that takes over the runs of another, which is as good as dead: its lease has run out. */
export async function takenOver(
  from: Engine,
  options: EngineOptions & { readonly storage: NonNullable<EngineOptions["storage"]> },
): Promise<Engine> {
  await options.storage.releaseLease(from.id);
  return startedEngine(options);
}
