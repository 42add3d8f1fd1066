import type { NewRun, RunRecord, RunState } from "weftline";
import type { AuditRow, Change, Said } from "../audit/change.js";
import { attemptIn, Columns, firstAttemptOf, type Origin, scheduleIn, taskIn } from "../audit/columns.js";

export interface Kind {
  readonly pipeline: string;
  readonly definition: string;
}

/** What rows name by numbers. */
export interface Numbered {
  readonly workers: ReadonlyMap<number, Origin>;
  readonly kinds: ReadonlyMap<number, Kind>;
}

/** The index that a path stands for: each number behind a letter for how many digits it has. */
export function indexOf(path: string): readonly number[] {
  return path.split(/[a-z]/).slice(1).map(Number);
}

/** Reads what SQLite kept, in the order in which it was written. */
export function changesOf(rows: readonly AuditRow[], numbered: Numbered): readonly Change[] {
  const reader = new Reader(numbered);
  return rows.flatMap((row) => {
    const said = reader.read(row);
    const { seq, tx, at, change } = row;
    return said === undefined ? [] : [{ ...said, seq, tx, at, change }];
  });
}

class Reader {
  readonly #numbered: Numbered;
  /** Ids of runs by their numbers. */
  readonly #runs = new Map<number, string>();

  constructor(numbered: Numbered) {
    this.#numbered = numbered;
  }

  read(row: AuditRow): Said | undefined {
    const columns = new Columns(row.row);
    switch (row.table) {
      case "engines":
        return engineIn(columns, row);
      case "flushes":
        return {
          ...{ kind: "flush", engine: columns.text("engine"), id: columns.text("id") },
          fenced: columns.json<string[]>("fenced")!,
        };
      case "runs":
        this.#runs.set(columns.number("n"), columns.text("id"));
        return { kind: "run", run: runIn(columns, this.#numbered.kinds.get(columns.number("kind"))!) };
      case "tasks":
        return this.#task(columns);
      case "attempts":
        return {
          kind: "attempt",
          attempt: attemptIn(columns, this.#run(columns), pathIn(columns), this.#worker(columns)!),
        };
      case "steps":
        return {
          ...{ kind: "step", runId: this.#run(columns), task: columns.text("task"), index: pathIn(columns) },
          ...{ generation: columns.number("generation"), step: columns.text("step") },
        };
      case "messages":
        return this.#message(columns);
      case "schedules":
        return { kind: "schedule", schedule: scheduleIn(columns) };
      default:
        return undefined;
    }
  }

  #task(columns: Columns): Said {
    const rest = columns.json<object>("rest");
    const attemptsBefore = columns.number("attempts_before");
    const task = taskIn(columns, this.#run(columns), pathIn(columns), { ...rest, attemptsBefore });
    const worker = this.#worker(columns);
    return { kind: "task", task, first: worker && firstAttemptOf(task, worker) };
  }

  #message(columns: Columns): Said {
    const number = columns.maybe<number>("run");
    const body = columns.json<{ readonly task?: string; readonly tasks?: string[]; readonly to?: { task?: string } }>(
      "body",
    );
    return {
      ...{ kind: "message", id: columns.text("id"), message: columns.text("kind") as "signal" },
      runId: number === undefined ? undefined : this.#runs.get(number),
      ...{ task: body?.to?.task ?? body?.task, tasks: body?.tasks, key: columns.maybe<string>("key") },
    };
  }

  #run(columns: Columns): string {
    const id = this.#runs.get(columns.number("run"));
    if (id === undefined) throw new Error(`The audit has no run ${columns.number("run")}`);
    return id;
  }

  #worker(columns: Columns): Origin | undefined {
    const number = columns.maybe<number>("worker");
    return number === undefined ? undefined : this.#numbered.workers.get(number);
  }
}

function pathIn(columns: Columns): readonly number[] {
  return indexOf(columns.text("path"));
}

/** Who forgets an engine whose lease holds is that engine, or is wrong; of one whose lease had run out it shows in its runs. */
function engineIn(columns: Columns, { change, at, caller }: AuditRow): Said {
  const id = columns.text("id");
  const leaseUntil = columns.number("lease_until");
  const engine = { kind: "engine", id, leaseUntil } as const;
  if (change !== "D") return engine;
  const isOwn = caller !== undefined && id.startsWith(`${caller}-`);
  if (!isOwn) return { ...engine, isRelease: false };
  return leaseUntil > at ? { ...engine, isRelease: true } : engine;
}

type Rest<Record> = { readonly [Field in keyof Record]?: Exclude<Record[Field], undefined> };

function runIn(columns: Columns, { pipeline, definition }: Kind): RunRecord {
  const origin = columns.json<Rest<NewRun>>("origin");
  const state = columns.json<Rest<RunState>>("state");
  return {
    ...{ pipeline, definition },
    id: columns.text("id"),
    params: columns.text("params"),
    key: columns.maybe("key"),
    fingerprint: columns.text("fingerprint"),
    tags: origin?.tags ?? [],
    priority: columns.number("priority"),
    parent: origin?.parent && { ...origin.parent, runId: columns.text("parent") },
    createdAt: columns.number("created_at"),
    availableAt: columns.number("available_at"),
    schedule: origin?.schedule,
    instant: origin?.instant,
    owner: columns.maybe("owner"),
    status: columns.text("status") as RunRecord["status"],
    generation: columns.number("generation"),
    epoch: columns.number("epoch"),
    crashes: columns.number("crashes"),
    startedAt: columns.maybe("started_at"),
    finishedAt: columns.maybe("finished_at"),
    deadlineAt: state?.deadlineAt,
    error: state?.error,
  };
}
