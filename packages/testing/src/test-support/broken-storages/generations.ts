import type { PageRequest, Storage, TaskRecord } from "weftline";
import { allTasks, asks, commits, type Fault, lists, type Overrides, pageOf } from "./fault.js";

interface TaskQuery {
  readonly runId: string;
  readonly status?: readonly string[];
  readonly generation?: number;
}

/** Chooses otherwise which records are current; `records` are all there are, in order. */
function chooses(choose: (records: readonly TaskRecord[], query: TaskQuery) => readonly TaskRecord[]): Overrides {
  return (inner) => {
    const current = async (query: TaskQuery, page: PageRequest) =>
      pageOf(choose(await allTasks(inner, query.runId), query), page);
    return {
      loadTasks: ([runId], page) => current({ runId: runId! }, page),
      list: ((kind, query, page) => {
        if (kind !== "tasks" || "generation" in query) return inner.list(kind, query, page);
        return current(query as TaskQuery, page);
      }) as Storage["list"],
    };
  };
}

const pathOf = ({ position, index }: TaskRecord) => [position, ...index].join("/");

/** The newest record under each position and index. */
function newest(records: readonly TaskRecord[]): readonly TaskRecord[] {
  return records.filter(
    (record) => !records.some((other) => pathOf(other) === pathOf(record) && other.generation > record.generation),
  );
}

/** @param isAbove - Whether a record is one that takes another along, when it is opened anew. */
function visible(
  records: readonly TaskRecord[],
  isAbove: (above: string, below: string) => boolean,
): readonly TaskRecord[] {
  return records.filter(
    (record) =>
      !records.some((other) => other.generation > record.generation && isAbove(pathOf(other), pathOf(record))),
  );
}

const isAtOrAbove = (above: string, below: string) => above === below || below.startsWith(`${above}/`);

/** Stores that go wrong about generations. */
export const GENERATION_FAULTS: readonly Fault[] = [
  [
    "keeps the params a run was created with",
    commits(({ run, ...changes }) => ({ ...changes, run: run && { ...run, params: 'j1:{"day":"2026-01-01"}' } })),
    "commit() writes a run's generation and params",
  ],
  [
    "leaves every run in its first generation",
    commits(({ run, ...changes }) => ({ ...changes, run: run && { ...run, generation: 1 } })),
    "commit() writes a run's generation and params",
  ],
  [
    "keeps one record of a task, whatever its generation",
    (inner) => ({
      list: (async (kind, query, page) => {
        const { generation, ...rest } = query as TaskQuery;
        if (kind !== "tasks" || generation === undefined) return inner.list(kind, query, page);
        const { items } = await inner.list("tasks", rest as never, { limit: 1_000 });
        return pageOf(
          items.filter((task) => task.generation === generation),
          page,
        );
      }) as Storage["list"],
    }),
    "commit() keeps what a task was in each generation, and replaces only within one",
  ],
  [
    "lists the records of all generations",
    chooses((records) => records),
    "list() of tasks and loadTasks() give each task as it is in its newest generation",
  ],
  [
    "shows nothing but the newest generation of all",
    chooses((records) => {
      const last = Math.max(...records.map(({ generation }) => generation));
      return records.filter(({ generation }) => generation === last);
    }),
    "list() of tasks and loadTasks() give each task as it is in its newest generation",
  ],
  [
    "loads the records of all generations",
    (inner) => ({ loadTasks: chooses((records) => records)(inner).loadTasks! }),
    "list() of tasks and loadTasks() give each task as it is in its newest generation",
  ],
  [
    "compares generations as text",
    chooses((records) =>
      visible(
        records.map((record) => ({ ...record, generation: record.generation === 10 ? 1 : record.generation })),
        isAtOrAbove,
      ),
    ),
    "list() of tasks and loadTasks() give each task as it is in its newest generation",
  ],
  [
    "takes the record that was written last for the current one",
    (inner) => {
      const last = new Map<string, TaskRecord>();
      return {
        commit(flush) {
          for (const { tasks } of flush.runs) for (const task of tasks) last.set(pathOf(task), task);
          return inner.commit(flush);
        },
        list: (async (kind, query, page) =>
          kind === "tasks"
            ? { items: [...last.values()], next: undefined }
            : inner.list(kind, query, page)) as Storage["list"],
      };
    },
    "the newest generation is the highest, whatever was written last",
  ],
  [
    "shows the items of a map that was opened anew",
    chooses(newest),
    "items of a map that was opened anew are no longer current",
  ],
  [
    "hides only the items themselves, not what is below them",
    chooses((records) =>
      visible(records, (above, below) => above === below || below.slice(0, below.lastIndexOf("/")) === above),
    ),
    "an item that was opened anew takes what is below it along, and nothing beside it",
  ],
  [
    "takes [10] for a part of [1]",
    chooses((records) => visible(records, (above, below) => below.startsWith(above))),
    "an item that was opened anew takes what is below it along, and nothing beside it",
  ],
  [
    "filters by status before it looks for the current records",
    chooses((records, { status }) =>
      visible(
        records.filter((record) => status?.includes(record.status) ?? true),
        isAtOrAbove,
      ),
    ),
    "list() of tasks filters the current records, not those from which they were chosen",
  ],
  [
    "lists of a generation what was current then",
    (inner) => ({
      list: (async (kind, query, page) => {
        const { runId, generation } = query as TaskQuery;
        if (kind !== "tasks" || generation === undefined) return inner.list(kind, query, page);
        const then = (await allTasks(inner, runId)).filter((task) => task.generation <= generation);
        return pageOf(visible(then, isAtOrAbove), page);
      }) as Storage["list"],
    }),
    "list() of tasks of a generation gives exactly the records of that generation",
  ],
  [
    "lists of an earlier generation only what is still current",
    (inner) => ({
      list: (async (kind, query, page) => {
        const { generation, ...rest } = query as TaskQuery;
        if (kind !== "tasks" || generation === undefined) return inner.list(kind, query, page);
        const { items } = await inner.list("tasks", rest as never, { limit: 1_000 });
        return pageOf(
          items.filter((task) => task.generation === generation),
          page,
        );
      }) as Storage["list"],
    }),
    "list() of tasks of a generation gives exactly the records of that generation",
  ],
  [
    "hides records after it has cut the page",
    (inner) => ({
      list: (async (kind, query, page) => {
        if (kind !== "tasks") return inner.list(kind, query, page);
        const records = await allTasks(inner, (query as TaskQuery).runId);
        const { items, next } = pageOf(records, page);
        return { items: items.filter((record) => visible(records, isAtOrAbove).includes(record)), next };
      }) as Storage["list"],
    }),
    "pages of tasks are full and end with the last current record, whatever generations hide",
  ],
  [
    "promises another page where only hidden records follow",
    (inner) => ({
      async loadTasks(runIds, page) {
        const { items, next } = await inner.loadTasks(runIds, page);
        const hidden = (await allTasks(inner, runIds[0]!)).length - items.length;
        return { items, next: next ?? (hidden > 0 && items.length === page.limit ? "loadTasks:0.999999" : undefined) };
      },
    }),
    "pages of tasks are full and end with the last current record, whatever generations hide",
  ],
  [
    "keeps attempts of all generations under the same numbers",
    commits((changes) => ({
      ...changes,
      attempts: changes.attempts.map((attempt) => ({ ...attempt, generation: 1 })),
    })),
    "attempts are kept, replaced and counted within their generation",
  ],
  [
    "lists attempts by their number, then by generation",
    lists((page, kind) =>
      kind === "attempts" ? { ...page, items: [...page.items].sort((a, b) => numberOf(a) - numberOf(b)) } : page,
    ),
    "list() of attempts goes by position, index, generation and attempt, with none lost between pages",
  ],
  [
    "lists only attempts of the current generations",
    (inner) => ({
      list: (async (kind, query, page) => {
        const { items, next } = await inner.list(kind, query, page);
        if (kind !== "attempts") return { items, next };
        const last = Math.max(...items.map((item) => ("generation" in item ? item.generation : 0)));
        return { items: items.filter((item) => "generation" in item && item.generation === last), next };
      }) as Storage["list"],
    }),
    "attempts are kept, replaced and counted within their generation",
  ],
  [
    "lists the attempts of all generations, whichever was asked for",
    asks((query, kind) => (kind === "attempts" ? { ...query, generation: undefined } : query)),
    "list() of attempts matches a generation",
  ],
  [
    "overwrites the first generation when a run is rerun",
    (inner) => ({
      async commit(flush) {
        const isRerun = flush.runs.some(({ run }) => run !== undefined && run.generation > 1);
        const overwritten = flush.runs.map((changes) => ({
          ...changes,
          tasks: [...changes.tasks, ...changes.tasks.map((task) => ({ ...task, generation: 1 }))],
        }));
        return inner.commit(isRerun ? { ...flush, runs: overwritten } : flush);
      },
    }),
    "a rerun adds its generation to the history of the run",
  ],
];

function numberOf(record: object): number {
  return "attempt" in record ? Number(record.attempt) : 0;
}
