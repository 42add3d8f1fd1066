import type { AskedRecord, AskedRun } from "./host-log.js";
import type { StoredState } from "./stored.js";

/** Something that must not be, by the number of the invariant. */
export interface Finding {
  readonly invariant: number;
  readonly runId: string | undefined;
  readonly why: string;
}

/** 24: when a flush is taken, all that was asked for is there, in the same transaction. */
export function differencesOf(flush: string, asked: AskedRun, stored: StoredState | undefined): readonly Finding[] {
  const { runId, status, tasks, attempts, consumed } = asked;
  const problems: string[] = [];
  for (const record of newest(tasks)) {
    const found = stored?.task(record)?.status;
    if (found !== record.status) problems.push(`task ${nameOf(record)} was to be ${record.status}, and is ${found}`);
  }
  for (const record of newest(attempts)) {
    const found = stored?.attempt({ ...record, attempt: record.attempt! })?.status;
    if (found !== record.status) problems.push(`attempt ${nameOf(record)} was to be ${record.status}, and is ${found}`);
  }
  for (const id of consumed) if (stored?.inbox.has(id)) problems.push(`message ${id} was answered, and is there`);
  if (status !== undefined && stored?.run.status !== status) {
    problems.push(`the run was to be ${status}, and is ${stored?.run.status}`);
  }
  return problems.map((why) => ({ invariant: 24, runId, why: `flush ${flush} is not there as a whole: ${why}` }));
}

/** Of several records of one thing the last one counts. */
function newest(records: readonly AskedRecord[]): Iterable<AskedRecord> {
  return new Map(records.map((record) => [nameOf(record), record])).values();
}

function nameOf({ position, index, generation, attempt }: AskedRecord): string {
  const place = `${position}[${index.join(".")}]@${generation}`;
  return attempt === undefined ? place : `${place}/${attempt}`;
}
