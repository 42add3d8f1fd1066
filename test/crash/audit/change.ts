import type { AttemptRecord, RunMessage, RunRecord, ScheduleRecord, TaskRecord } from "weftline";

/** What the database did with a row: inserted, updated or deleted it. A replaced row counts as inserted. */
export type RowChange = "I" | "U" | "D";

/** A row as a trigger kept it. */
export interface AuditRow {
  /** Rises with each row that was written, whoever wrote it. */
  readonly seq: number;
  /** Tells transactions apart; `undefined` where there is one writer at a time. */
  readonly tx: string | undefined;
  /** The store's clock when the row was written: not later than its transaction's commit. */
  readonly at: number;
  /** The table, without what all its names begin with. */
  readonly table: string;
  readonly change: RowChange;
  /** The row after the change; of a deleted one, before. */
  readonly row: Readonly<Record<string, unknown>>;
  /** Which call of the adapter did it, as far as the database can tell. */
  readonly caller: string | undefined;
}

/** What one row says, in the words of the storage contract. */
export type Said =
  /** @property isRelease - Of a row that is deleted: the engine itself gave everything back. `undefined`: that shows in its runs. */
  | {
      readonly kind: "engine";
      readonly id: string;
      readonly leaseUntil: number;
      readonly isRelease?: boolean | undefined;
    }
  | { readonly kind: "flush"; readonly engine: string; readonly id: string; readonly fenced: readonly string[] }
  | { readonly kind: "run"; readonly run: RunRecord }
  /** @property first - Its first attempt, for which the task's row stands as well. */
  | { readonly kind: "task"; readonly task: TaskRecord; readonly first: AttemptRecord | undefined }
  | { readonly kind: "attempt"; readonly attempt: AttemptRecord }
  | {
      readonly kind: "step";
      readonly runId: string;
      readonly task: string;
      readonly index: readonly number[];
      readonly generation: number;
      readonly step: string;
    }
  /** @property runId - `undefined`: it is a signal to a key. */
  | {
      readonly kind: "message";
      readonly id: string;
      readonly runId: string | undefined;
      readonly message: RunMessage["kind"];
      readonly task: string | undefined;
      readonly tasks: readonly string[] | undefined;
      readonly key: string | undefined;
    }
  | { readonly kind: "schedule"; readonly schedule: ScheduleRecord };

/** A row of the audit, read. */
export type Change = Said & Pick<AuditRow, "seq" | "tx" | "at" | "change">;
