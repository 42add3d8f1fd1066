import { ADAPTER_ENTRIES } from "./entries/adapters.js";
import { DEFINITION_ENTRIES } from "./entries/definition.js";
import { ENGINE_ENTRIES, HANDLE_ENTRIES, RUN_ENTRIES } from "./entries/engine.js";
import { TASK_ENTRIES } from "./entries/tasks.js";
import { VALUE_ENTRIES } from "./entries/values.js";
import type { Entry } from "./entry.js";

/** Every way into the library that is fuzzed. */
export const ENTRIES: readonly Entry[] = [
  ...DEFINITION_ENTRIES,
  ...VALUE_ENTRIES,
  ...ENGINE_ENTRIES,
  ...RUN_ENTRIES,
  ...HANDLE_ENTRIES,
  ...TASK_ENTRIES,
  ...ADAPTER_ENTRIES,
];
