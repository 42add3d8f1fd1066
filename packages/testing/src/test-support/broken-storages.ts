import { COMMIT_FAULTS } from "./broken-storages/commits.js";
import { DELETION_FAULTS } from "./broken-storages/deletion.js";
import { ENGINE_FAULTS } from "./broken-storages/engines.js";
import type { Fault } from "./broken-storages/fault.js";
import { GENERATION_FAULTS } from "./broken-storages/generations.js";
import { HISTORY_FAULTS } from "./broken-storages/history.js";
import { INBOX_FAULTS } from "./broken-storages/inbox.js";
import { LIMIT_FAULTS } from "./broken-storages/limits.js";
import { OUTLIVING_FAULTS } from "./broken-storages/outliving.js";
import { RUN_FAULTS } from "./broken-storages/runs.js";
import { SCHEDULE_FAULTS } from "./broken-storages/schedules.js";
import { SIGNAL_FAULTS } from "./broken-storages/signals.js";

export type { Overrides } from "./broken-storages/fault.js";

/** Adapters with one fault each, and the case that finds it. */
export const BROKEN_STORAGES: readonly Fault[] = [
  ...ENGINE_FAULTS,
  ...RUN_FAULTS,
  ...LIMIT_FAULTS,
  ...COMMIT_FAULTS,
  ...GENERATION_FAULTS,
  ...INBOX_FAULTS,
  ...SIGNAL_FAULTS,
  ...HISTORY_FAULTS,
  ...OUTLIVING_FAULTS,
  ...SCHEDULE_FAULTS,
  ...DELETION_FAULTS,
];
