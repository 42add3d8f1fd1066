import type { NewRun, RunRecord } from "../../contracts/records.js";

/**
 * What is kept of a run that was just created. Properties are named one by one: an object that is spread into one of more
 * properties becomes a slow table of 800 bytes.
 */
export function newRecord(run: NewRun): RunRecord {
  return {
    id: run.id,
    pipeline: run.pipeline,
    definition: run.definition,
    params: run.params,
    key: run.key,
    fingerprint: run.fingerprint,
    tags: run.tags,
    priority: run.priority,
    parent: run.parent,
    createdAt: run.createdAt,
    availableAt: run.availableAt,
    schedule: run.schedule,
    instant: run.instant,
    owner: run.owner,
    status: "queued",
    generation: 1,
    epoch: run.owner === undefined ? 0 : 1,
    crashes: 0,
    startedAt: undefined,
    finishedAt: undefined,
    deadlineAt: undefined,
    error: undefined,
  };
}
