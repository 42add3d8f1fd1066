import { ENDING_FAULTS } from "./broken-executors/endings.js";
import type { Fault } from "./broken-executors/fault.js";
import { JOB_FAULTS } from "./broken-executors/jobs.js";
import { OUTCOME_FAULTS } from "./broken-executors/outcomes.js";
import { PORT_FAULTS } from "./broken-executors/ports.js";

export type { Overrides } from "./broken-executors/fault.js";

/** Adapters with one fault each, and the case that finds it. */
export const BROKEN_EXECUTORS: readonly Fault[] = [...OUTCOME_FAULTS, ...JOB_FAULTS, ...PORT_FAULTS, ...ENDING_FAULTS];
