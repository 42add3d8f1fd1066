import type { RunRecord, RunStatus, TaskRecord } from "../contracts/records.js";
import type { RunChanges } from "../contracts/storage.js";
import type { ErrorRecord } from "../values/error-record.js";
import type { Journaled } from "./journal.js";

interface RunEnd {
  readonly status: RunStatus;
  readonly error: ErrorRecord;
  readonly finishedAt: number;
  /** The tasks that end with it. */
  readonly tasks: readonly TaskRecord[];
}

/** A run that is ended although this engine does not have its pipeline. Written by the journal as everything else. */
export class EndedRun implements Journaled {
  readonly id: string;
  /** Whether it was written: false when the run was somebody else's by then. */
  readonly isWritten: Promise<boolean>;
  #settle: (isWritten: boolean) => void = () => {};
  #changes: RunChanges | undefined;

  /** @param record - As it was claimed. */
  constructor(record: RunRecord, { tasks, ...end }: RunEnd) {
    const { id, epoch, startedAt, deadlineAt, generation, params, crashes } = record;
    this.id = id;
    this.isWritten = new Promise((resolve) => {
      this.#settle = resolve;
    });
    const nothing = { attempts: [], logs: [], metrics: [], artifacts: [], steps: [], assets: [] };
    const run = { ...end, startedAt, deadlineAt, generation, params, crashes };
    this.#changes = { runId: id, epoch, run, tasks, ...nothing, cached: [], consumed: [] };
  }

  turnPassed(): void {}

  collect(): RunChanges | undefined {
    const changes = this.#changes;
    this.#changes = undefined;
    return changes;
  }

  confirmed(): void {
    this.#settle(true);
  }

  fenced(): void {
    this.#settle(false);
  }

  rejected(): void {
    this.#settle(false);
  }
}
