import type { RunRecord } from "weftline";
import type { AuditRow, Change, Said } from "../audit/change.js";
import { attemptIn, Columns, firstAttemptOf, type Origin, scheduleIn, taskIn } from "../audit/columns.js";

const DIGITS = 36;

/** The index that a path stands for: each number in base 36, after a digit that says how many digits follow. */
export function indexOf(path: string): readonly number[] {
  const index: number[] = [];
  for (let place = 0; place < path.length; ) {
    const length = Number.parseInt(path[place]!, DIGITS);
    index.push(Number.parseInt(path.slice(place + 1, place + 1 + length), DIGITS));
    place += 1 + length;
  }
  return index;
}

/** Reads what Postgres kept, in the order in which it was written. @param origins - By their numbers. */
export function changesOf(rows: readonly AuditRow[], origins: ReadonlyMap<number, Origin>): readonly Change[] {
  const reader = new Reader(origins);
  return rows.flatMap((row) => {
    const said = reader.read(row);
    const { seq, tx, at, change } = row;
    return said === undefined ? [] : [{ ...said, seq, tx, at, change }];
  });
}

class Reader {
  readonly #origins: ReadonlyMap<number, Origin>;
  /** Ids of runs by their numbers. */
  readonly #runs = new Map<number, string>();

  constructor(origins: ReadonlyMap<number, Origin>) {
    this.#origins = origins;
  }

  read({ table, row, change, caller }: AuditRow): Said | undefined {
    const columns = new Columns(row);
    switch (table) {
      case "engines":
        return {
          ...{ kind: "engine", id: columns.text("id"), leaseUntil: Date.parse(columns.text("lease_until")) },
          ...(change === "D" && { isRelease: caller?.includes("release_lease_v1") ?? false }),
        };
      case "flushes":
        return this.#flush(columns, row);
      case "runs":
        this.#runs.set(columns.number("number"), columns.text("id"));
        return { kind: "run", run: runIn(columns, row) };
      case "tasks":
        return this.#task(columns);
      case "attempts":
        return {
          kind: "attempt",
          attempt: attemptIn(columns, this.#run(columns), pathIn(columns), this.#origin(columns)!),
        };
      case "steps":
        return {
          ...{ kind: "step", runId: this.#run(columns), task: columns.text("task"), index: pathIn(columns) },
          ...{ generation: columns.number("generation"), step: columns.text("step") },
        };
      case "messages":
        return this.#message(columns, this.#run(columns));
      case "signals":
        return {
          ...{ kind: "message", id: columns.text("id"), runId: undefined, message: "signal" },
          ...{ task: undefined, tasks: undefined, key: columns.text("key") },
        };
      case "schedules":
        return { kind: "schedule", schedule: scheduleIn(columns) };
      default:
        return undefined;
    }
  }

  #flush(columns: Columns, row: AuditRow["row"]): Said {
    const fenced = (row.fenced as string[] | null) ?? [];
    return { kind: "flush", engine: columns.text("engine"), id: columns.text("id"), fenced };
  }

  #task(columns: Columns): Said {
    const more = columns.json<object>("more");
    const task = taskIn(columns, this.#run(columns), pathIn(columns), { attemptsBefore: 0, ...more });
    const origin = this.#origin(columns);
    return { kind: "task", task, first: origin && firstAttemptOf(task, origin) };
  }

  #message(columns: Columns, runId: string): Said {
    const body = columns.json<{ readonly task?: string; readonly tasks?: readonly string[] }>("body")!;
    return {
      ...{ kind: "message", id: columns.text("id"), runId, message: columns.text("kind") as "signal" },
      ...{ task: body.task, tasks: body.tasks, key: columns.maybe<string>("signal_key") },
    };
  }

  #run(columns: Columns): string {
    const id = this.#runs.get(columns.number("run"));
    if (id === undefined) throw new Error(`The audit has no run ${columns.number("run")}`);
    return id;
  }

  #origin(columns: Columns): Origin | undefined {
    const number = columns.maybe<number>("origin");
    return number === undefined ? undefined : this.#origins.get(number);
  }
}

function pathIn(columns: Columns): readonly number[] {
  return indexOf(columns.text("path"));
}

function runIn(columns: Columns, row: AuditRow["row"]): RunRecord {
  const parent = columns.maybe<string>("parent_run");
  return {
    id: columns.text("id"),
    pipeline: columns.text("pipeline"),
    definition: columns.text("definition"),
    params: columns.text("params"),
    key: columns.maybe("key"),
    fingerprint: columns.text("fingerprint"),
    tags: row.tags as string[],
    priority: columns.number("priority"),
    parent:
      parent === undefined
        ? undefined
        : { runId: parent, task: columns.text("parent_task"), index: indexOf(columns.text("parent_path")) },
    createdAt: columns.number("created_at"),
    availableAt: columns.number("available_at"),
    schedule: columns.maybe("schedule"),
    instant: columns.maybe("instant"),
    owner: columns.maybe("owner"),
    status: columns.text("status") as RunRecord["status"],
    generation: columns.number("generation"),
    epoch: columns.number("epoch"),
    crashes: columns.number("crashes"),
    startedAt: columns.maybe("started_at"),
    finishedAt: columns.maybe("finished_at"),
    deadlineAt: columns.maybe("deadline_at"),
    error: columns.json("error"),
  };
}
