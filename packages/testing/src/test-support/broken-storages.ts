import { CLAIM_FAULTS } from "./broken-storages/claims.js";
import { COMMIT_FAULTS } from "./broken-storages/commits.js";
import { DEATH_FAULTS } from "./broken-storages/deaths.js";
import { DELETION_FAULTS } from "./broken-storages/deletion.js";
import { ENGINE_FAULTS } from "./broken-storages/engines.js";
import type { Fault } from "./broken-storages/fault.js";
import { GENERATION_FAULTS } from "./broken-storages/generations.js";
import { HELD_LEASE_FAULTS } from "./broken-storages/held-leases.js";
import { HISTORY_FAULTS } from "./broken-storages/history.js";
import { INBOX_FAULTS } from "./broken-storages/inbox.js";
import { LIMIT_FAULTS } from "./broken-storages/limits.js";
import { LOADING_FAULTS } from "./broken-storages/loading.js";
import { LOOK_FAULTS } from "./broken-storages/look.js";
import { OUTLIVING_FAULTS } from "./broken-storages/outliving.js";
import { PRUNING_FAULTS } from "./broken-storages/pruning.js";
import { REMAPPING_FAULTS } from "./broken-storages/remapping.js";
import { RUN_FAULTS } from "./broken-storages/runs.js";
import { SCHEDULE_FAULTS } from "./broken-storages/schedules.js";
import { SCHEMA_FAULTS } from "./broken-storages/schema.js";
import { SIGNAL_FAULTS } from "./broken-storages/signals.js";
import { TRANSACTION_FAULTS } from "./broken-storages/transactions.js";

export type { Overrides } from "./broken-storages/fault.js";

/** Adapters with one fault each, and the case that finds it. */
export const BROKEN_STORAGES: readonly Fault[] = [
  ...ENGINE_FAULTS,
  ...TRANSACTION_FAULTS,
  ...SCHEMA_FAULTS,
  ...HELD_LEASE_FAULTS,
  ...DEATH_FAULTS,
  ...RUN_FAULTS,
  ...CLAIM_FAULTS,
  ...LIMIT_FAULTS,
  ...COMMIT_FAULTS,
  ...LOADING_FAULTS,
  ...REMAPPING_FAULTS,
  ...GENERATION_FAULTS,
  ...INBOX_FAULTS,
  ...SIGNAL_FAULTS,
  ...LOOK_FAULTS,
  ...HISTORY_FAULTS,
  ...OUTLIVING_FAULTS,
  ...SCHEDULE_FAULTS,
  ...DELETION_FAULTS,
  ...PRUNING_FAULTS,
];
