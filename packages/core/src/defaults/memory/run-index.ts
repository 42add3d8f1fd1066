import {
  isRunFinished,
  type NewRun,
  type Page,
  type PageRequest,
  type RunQuery,
  type RunRecord,
} from "../../contracts/records.js";
import type { CreateResult } from "../../contracts/storage.js";
import { listRuns, placeOfSequence } from "./listing.js";
import { RunStore } from "./run-store.js";

/** All runs: by id, by key, and by age. */
export class RunIndex {
  readonly #byId = new Map<string, RunStore>();
  readonly #byKey = new Map<string, RunStore>();
  /** By the id of the run that has started them. */
  readonly #children = new Map<string, Set<RunStore>>();
  /** Oldest first. */
  readonly #byAge: RunStore[] = [];
  #sequence = 0;

  get(id: string): RunStore | undefined {
    return this.#byId.get(id);
  }

  /** What a request for a run comes to when there is one of its id or key. */
  existing(run: NewRun): CreateResult | undefined {
    const known = this.#byId.get(run.id)?.record;
    if (known !== undefined) return { kind: "existing", run: known };
    const sameKey = run.key === undefined ? undefined : this.#byKey.get(keyOf(run.pipeline, run.key))?.record;
    if (sameKey === undefined) return undefined;
    if (sameKey.fingerprint === run.fingerprint) return { kind: "existing", run: sameKey };
    return { kind: "conflict", runId: sameKey.id };
  }

  add(record: RunRecord): RunStore {
    const run = new RunStore(record, ++this.#sequence);
    this.#byId.set(record.id, run);
    if (record.key !== undefined) this.#byKey.set(keyOf(record.pipeline, record.key), run);
    if (record.parent !== undefined) this.#childrenOf(record.parent.runId).add(run);
    this.#byAge.push(run);
    return run;
  }

  delete(run: RunStore): void {
    this.#forget(run);
    this.#byAge.splice(placeOfSequence(this.#byAge, run.sequence), 1);
  }

  /** Deletes the oldest runs of which the test holds, up to the limit: none before its children, or while its parent goes on. */
  deleteWhere(test: (record: RunRecord) => boolean, limit: number): readonly RunStore[] {
    const isDue = (run: RunStore) => test(run.record) && this.#isLast(run);
    const due = this.#byAge.filter(isDue);
    const deleted = new Set<RunStore>();
    for (const run of due) {
      if (deleted.size === limit) break;
      deleted.add(run);
      this.#forget(run);
      const parent = this.#parentOf(run);
      if (parent !== undefined && isDue(parent)) due.push(parent); // this was its last child
    }
    let kept = 0;
    for (const run of this.#byAge) if (!deleted.has(run)) this.#byAge[kept++] = run;
    this.#byAge.length = kept;
    return [...deleted];
  }

  *[Symbol.iterator](): Generator<RunStore> {
    yield* this.#byAge;
  }

  list(query: RunQuery, page: PageRequest): Page<RunRecord> {
    return listRuns(this.#byAge, query, page);
  }

  #forget(run: RunStore): void {
    const { record } = run;
    this.#byId.delete(record.id);
    if (record.key !== undefined) this.#byKey.delete(keyOf(record.pipeline, record.key));
    if (record.parent === undefined) return;
    const siblings = this.#childrenOf(record.parent.runId);
    siblings.delete(run);
    if (siblings.size === 0) this.#children.delete(record.parent.runId);
  }

  /** Nobody needs it any more: neither a child nor a parent that goes on. */
  #isLast(run: RunStore): boolean {
    const parent = this.#parentOf(run);
    return !this.#children.has(run.record.id) && (parent === undefined || isRunFinished(parent.record.status));
  }

  #parentOf({ record }: RunStore): RunStore | undefined {
    return record.parent && this.#byId.get(record.parent.runId);
  }

  #childrenOf(runId: string): Set<RunStore> {
    const children = this.#children.get(runId) ?? new Set();
    this.#children.set(runId, children);
    return children;
  }
}

/** Ids contain no line breaks, so two different pairs never make the same text. */
function keyOf(pipeline: string, key: string): string {
  return `${pipeline}\n${key}`;
}
