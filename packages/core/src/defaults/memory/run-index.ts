import type { NewRun, Page, PageRequest, RunQuery, RunRecord } from "../../contracts/records.js";
import type { CreateResult } from "../../contracts/storage.js";
import { listRuns, placeOfSequence } from "./listing.js";
import { RunStore } from "./run-store.js";

/** All runs: by id, by key, and by age. */
export class RunIndex {
  readonly #byId = new Map<string, RunStore>();
  readonly #byKey = new Map<string, RunStore>();
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
    this.#byAge.push(run);
    return run;
  }

  delete(run: RunStore): void {
    this.#forget(run);
    this.#byAge.splice(placeOfSequence(this.#byAge, run.sequence), 1);
  }

  /** Deletes the oldest runs of which the test holds, up to the limit. */
  deleteWhere(test: (record: RunRecord) => boolean, limit: number): readonly RunStore[] {
    const deleted: RunStore[] = [];
    let kept = 0;
    for (const run of this.#byAge) {
      if (deleted.length < limit && test(run.record)) deleted.push(run);
      else this.#byAge[kept++] = run;
    }
    this.#byAge.length = kept;
    for (const run of deleted) this.#forget(run);
    return deleted;
  }

  list(query: RunQuery, page: PageRequest): Page<RunRecord> {
    return listRuns(this.#byAge, query, page);
  }

  #forget({ record }: RunStore): void {
    this.#byId.delete(record.id);
    if (record.key !== undefined) this.#byKey.delete(keyOf(record.pipeline, record.key));
  }
}

/** Ids contain no line breaks, so two different pairs never make the same text. */
function keyOf(pipeline: string, key: string): string {
  return `${pipeline}\n${key}`;
}
