import type { EpochMs } from "../../clock.js";
import {
  type CacheEntry,
  isRunFinished,
  type NewRun,
  type RunMessage,
  type RunRecord,
} from "../../contracts/records.js";
import type { CreateResult, RemapRequest, RunChanges, SendResult, StorageHint } from "../../contracts/storage.js";
import type { Inboxes } from "./inboxes.js";
import { newRecord } from "./new-record.js";
import type { Ownership } from "./ownership.js";
import { isWholeCancel, refusalOf } from "./refusal.js";
import type { RunIndex } from "./run-index.js";
import type { RunStore } from "./run-store.js";
import { TaskMoves } from "./task-moves.js";

export interface RunWriterParts {
  readonly runs: RunIndex;
  readonly ownership: Ownership;
  readonly inboxes: Inboxes;
  readonly cache: (entry: CacheEntry) => void;
  readonly hint: (topic: StorageHint["topic"], ids: readonly string[]) => void;
}

/** Everything that changes runs, with what follows from it for their owners, their inboxes and those who listen. */
export class RunWriter {
  readonly #parts: RunWriterParts;

  constructor(parts: RunWriterParts) {
    this.#parts = parts;
  }

  create(runs: readonly NewRun[]): readonly CreateResult[] {
    for (const { owner } of runs) if (owner !== undefined) this.#parts.ownership.engine(owner); // all or nothing
    const results = runs.map((run) => this.#parts.runs.existing(run) ?? this.#create(run));
    const ids = runs.map((run) => run.id);
    if (runs.some((run) => run.owner === undefined)) this.#parts.hint("runs", ids);
    return results;
  }

  /** Writes what a flush changes in one run. */
  write(engineId: string, changes: RunChanges): "written" | "fenced" {
    const run = this.#owned(engineId, changes);
    if (run === undefined) return "fenced";
    run.write(changes);
    for (const entry of changes.cached) this.#parts.cache(entry);
    this.#parts.inboxes.consume(run, changes.consumed);
    if (this.#parts.inboxes.follow(run, changes.tasks)) this.#parts.hint("inbox", [run.record.id]);
    if (changes.run) this.#setState(run, { ...run.record, ...changes.run });
    return "written";
  }

  /** Moves a run to another definition. */
  move({ engineId, runId, epoch, definition, tasks }: RemapRequest): "moved" | "fenced" {
    const run = this.#owned(engineId, { runId, epoch });
    if (run === undefined) return "fenced";
    if (run.record.definition === definition) return "moved";
    const moves = new TaskMoves(tasks);
    run.record = { ...run.record, definition };
    run.move(moves);
    this.#parts.inboxes.move(run, (record) => moves.of(record));
    return "moved";
  }

  /** Puts a message into the inbox of its run, with all that it changes at once. */
  accept(message: RunMessage): SendResult {
    const run = this.#parts.runs.get(message.runId);
    if (run === undefined) return { kind: "refused", code: "RUN_UNKNOWN" };
    const refusal = refusalOf(message, run.record.status);
    if (refusal !== undefined) return { kind: "refused", code: refusal };
    if (message.kind === "resume" || message.kind === "rerun") this.#openAgain(run);
    if (isWholeCancel(message) && message.sentAt < run.record.availableAt) this.#makeDue(run, message.sentAt);
    this.#parts.inboxes.put(run, message);
    return { kind: "sent" };
  }

  delete(runId: string): "deleted" | "active" | "unknown" {
    const run = this.#parts.runs.get(runId);
    if (run === undefined) return "unknown";
    if (!isRunFinished(run.record.status)) return "active";
    this.#parts.runs.delete(run);
    this.#parts.inboxes.forget(run);
    return "deleted";
  }

  /** Deletes runs that ended before a moment. @returns How many. */
  deleteEnded(before: EpochMs, limit: number): number {
    const deleted = this.#parts.runs.deleteWhere((record) => hasEndedBefore(record, before), limit);
    for (const run of deleted) this.#parts.inboxes.forget(run);
    return deleted.length;
  }

  /** @returns `undefined` when the run belongs to somebody else by now. */
  #owned(engineId: string, { runId, epoch }: { readonly runId: string; readonly epoch: number }): RunStore | undefined {
    const run = this.#parts.runs.get(runId);
    return run?.record.owner === engineId && run.record.epoch === epoch ? run : undefined;
  }

  #create(run: NewRun): CreateResult {
    const record = newRecord(run);
    this.#parts.ownership.add(this.#parts.runs.add(record));
    return { kind: "created", run: record };
  }

  #setState(run: RunStore, record: RunRecord): void {
    const makesRoom = this.#parts.ownership.setState(run, record);
    if (!isRunFinished(record.status)) return;
    this.#parts.inboxes.empty(run);
    this.#parts.hint("finished", [record.id]);
    if (makesRoom) this.#parts.hint("runs", []);
  }

  #openAgain(run: RunStore): void {
    run.record = { ...run.record, status: "queued", crashes: 0, finishedAt: undefined, error: undefined };
    this.#parts.ownership.add(run);
  }

  #makeDue(run: RunStore, availableAt: EpochMs): void {
    run.record = { ...run.record, availableAt };
    if (run.record.owner === undefined) this.#parts.ownership.add(run);
  }
}

function hasEndedBefore({ status, finishedAt }: RunRecord, before: EpochMs): boolean {
  return isRunFinished(status) && finishedAt !== undefined && finishedAt < before;
}
