import type { LogRecord, RunRecord, StepRecord, TaskRecord } from "../contracts/records.js";
import { decode } from "../values/codec.js";

/** A run as callers see it: its params decoded, without what only engines care about. */
export interface RunInfo extends Omit<RunRecord, "params" | "fingerprint" | "epoch" | "owner"> {
  readonly params: unknown;
}

/** A task or item as callers see it: its output decoded. */
export interface TaskInfo extends Omit<TaskRecord, "output" | "attemptsBefore" | "list"> {
  readonly output: unknown;
}

export interface LogInfo extends Omit<LogRecord, "data"> {
  readonly data: unknown;
}

/** A step as callers see it: its output decoded. */
export interface StepInfo extends Omit<StepRecord, "output"> {
  readonly output: unknown;
}

export function runInfo({ params, fingerprint: _f, epoch: _e, owner: _o, ...rest }: RunRecord): RunInfo {
  return { ...rest, params: decode(params) };
}

export function taskInfo({ output, attemptsBefore: _a, list: _l, ...rest }: TaskRecord): TaskInfo {
  return { ...rest, output: output === undefined ? undefined : decode(output) };
}

export function logInfo({ data, ...rest }: LogRecord): LogInfo {
  return { ...rest, data: data === undefined ? undefined : decode(data) };
}

export function stepInfo({ output, ...rest }: StepRecord): StepInfo {
  return { ...rest, output: decode(output) };
}
