import type { Flushed, FlushedRun } from "@weftline/testing";
import type { RunRecord } from "weftline";

type Draft = { -readonly [Field in "run" | "tasks" | "attempts" | "steps" | "consumed"]: FlushedRun[Field] };

/** What one transaction writes of runs, until it is known of which flush that is a part. */
export class FlushParts {
  readonly #byRun = new Map<string, Draft>();

  get isEmpty(): boolean {
    return this.#byRun.size === 0;
  }

  get runIds(): readonly string[] {
    return [...this.#byRun.keys()];
  }

  add<Field extends "tasks" | "attempts" | "steps" | "consumed">(
    runId: string,
    field: Field,
    record: FlushedRun[Field][number],
  ): void {
    (this.#draft(runId)[field] as (typeof record)[]).push(record);
  }

  state(run: RunRecord): void {
    this.#draft(run.id).run = run;
  }

  /** Once a run has ended its inbox is emptied: that answers nothing. */
  hasEnded(runId: string): boolean {
    return this.#byRun.get(runId)?.run?.finishedAt !== undefined;
  }

  /** @param epochOf - Under which epoch the flush writes a run. */
  take(fenced: readonly string[], epochOf: (runId: string) => number | undefined): Flushed["runs"] {
    const written = [...this.#byRun].map(
      ([runId, draft]): FlushedRun => ({ ...draft, runId, epoch: epochOf(runId), fenced: false, logs: 0 }),
    );
    const refused = fenced.map((runId): FlushedRun => {
      return { ...newDraft(), runId, epoch: epochOf(runId), fenced: true, logs: 0 };
    });
    this.#byRun.clear();
    return [...written, ...refused];
  }

  #draft(runId: string): Draft {
    let draft = this.#byRun.get(runId);
    if (draft === undefined) {
      draft = newDraft();
      this.#byRun.set(runId, draft);
    }
    return draft;
  }
}

function newDraft(): Draft {
  return { run: undefined, tasks: [], attempts: [], steps: [], consumed: [] };
}
