import type { Storage } from "weftline";
import { allRuns, asks, commits, type Fault, lists, pageOf } from "./fault.js";

/** The name of a step. */
function nameOf(record: object): string {
  return "step" in record ? String(record.step) : "";
}

/** Stores that go wrong about listings, steps and assets. */
export const HISTORY_FAULTS: readonly Fault[] = [
  [
    "lists runs oldest first",
    lists((page, kind) => (kind === "runs" ? { ...page, items: [...page.items].reverse() } : page)),
    "list() of runs gives whole records, newest first",
  ],
  [
    "lists items by text",
    (inner) => ({
      list: (async (kind, query, page) => {
        const { items, next } = await inner.list(kind, query, page);
        const path = (record: object) => ("index" in record ? String(record.index) : "");
        return { items: kind === "tasks" ? [...items].sort((a, b) => (path(a) < path(b) ? -1 : 1)) : items, next };
      }) as Storage["list"],
    }),
    "items of maps are listed by number, not by text, with none lost between pages",
  ],
  [
    "goes on behind the first record of the next page",
    (inner) => ({
      list: (async (kind, query, page) => {
        const { items, next } = await inner.list(kind, query, page);
        return { items: page.cursor === undefined ? items : items.slice(1), next };
      }) as Storage["list"],
    }),
    "list() loses and repeats nothing, whatever the size of its pages",
  ],
  [
    "pages through runs by their moment of creation alone",
    (inner) => ({
      list: (async (kind, query, page) => {
        if (kind !== "runs") return inner.list(kind, query, page);
        const { items } = await inner.list("runs", query as object, { limit: 1_000 });
        const rest = items.filter(({ createdAt }) => page.cursor === undefined || createdAt < Number(page.cursor));
        const last = rest.length > page.limit ? rest[page.limit - 1] : undefined;
        return { items: rest.slice(0, page.limit), next: last && `${last.createdAt}` };
      }) as Storage["list"],
    }),
    "list() of runs created in the same millisecond loses and repeats none",
  ],
  [
    "pages by offset",
    (inner) => ({
      list: (async (kind, query, { limit, cursor = "0" }) => {
        const { items } = await inner.list(kind, query, { limit: 1_000 });
        const end = Number(cursor) + limit;
        return { items: items.slice(Number(cursor), end), next: end < items.length ? String(end) : undefined };
      }) as Storage["list"],
    }),
    "list() goes on from a cursor without loss or repetition while runs are created and change",
  ],
  [
    "gives a cursor with the last page",
    (inner) => ({
      list: (async (kind, query, page) => {
        const { items, next } = await inner.list(kind, query, page);
        return { items, next: next ?? (items.length === page.limit ? `${kind}:999999` : undefined) };
      }) as Storage["list"],
    }),
    "list() says on the last page that it is the last, also when that page is full",
  ],
  [
    "takes any cursor",
    (inner) => ({
      list: ((kind, query, page) =>
        inner.list(kind, query, page).catch(() => inner.list(kind, query, { limit: page.limit }))) as Storage["list"],
    }),
    "list() refuses a foreign cursor with CURSOR_INVALID",
  ],
  [
    "filters a page after it was cut",
    (inner) => ({
      list: (async (kind, query, page) => {
        const { runId } = query as { runId?: string };
        const whole = await inner.list(kind, (runId === undefined ? {} : { runId }) as never, page);
        const matching = await inner.list(kind, query, { limit: 1_000 });
        const shown = matching.items.map((item) => JSON.stringify(item));
        return { items: whole.items.filter((item) => shown.includes(JSON.stringify(item))), next: whole.next };
      }) as Storage["list"],
    }),
    "list() of runs matches every filter, alone and together",
  ],
  [
    "compares index paths by their beginning",
    (inner) => ({
      list: (async (kind, query, page) => {
        if (kind !== "logs" || !("index" in query)) return inner.list(kind, query, page);
        const { index, ...rest } = query as { runId: string; index: readonly number[] };
        const { items } = await inner.list("logs", rest, { limit: 1_000 });
        return { items: items.filter((log) => String(log.index).startsWith(String(index))), next: undefined };
      }) as Storage["list"],
    }),
    "list() of logs gives them in the order they were written, and matches every filter",
  ],
  [
    "lists artifacts with their bytes",
    lists((page, kind) =>
      kind === "artifacts"
        ? { ...page, items: page.items.map((item) => ({ ...item, data: new Uint8Array(0) })) }
        : page,
    ),
    "list() of metrics and artifacts matches every filter, and leaves out the bytes",
  ],
  [
    "lists the runs of every owner",
    asks((query) => ("owner" in query ? { ...query, owner: undefined } : query)),
    "list() of runs matches every filter, alone and together",
  ],
  [
    "lists runs by the definition they were created with",
    asks((query) => ("definition" in query ? { ...query, definition: "definition-1" } : query)),
    "list() of runs matches every filter, alone and together",
  ],
  [
    "lists the runs that an engine ever owned",
    (inner) => {
      const owners = new Map<string, string>();
      return {
        createRuns(runs) {
          for (const { id, owner } of runs) if (owner !== undefined) owners.set(id, owner);
          return inner.createRuns(runs);
        },
        list: (async (kind, query, page) => {
          if (!("owner" in query)) return inner.list(kind, query, page);
          const runs = await allRuns(inner);
          return pageOf(
            runs.filter(({ id }) => owners.get(id) === query.owner),
            page,
          );
        }) as Storage["list"],
      };
    },
    "list() of an owner's runs follows the run from owner to owner, also to none",
  ],
  [
    "names of the ended runs only those it knows",
    (inner) => ({
      async endedAmong(runIds) {
        const known = new Set((await allRuns(inner)).map(({ id }) => id));
        return (await inner.endedAmong(runIds)).filter((id) => known.has(id));
      },
    }),
    "endedAmong() names the runs that have ended, and those that are not there",
  ],
  [
    "takes a run that was resumed for one that has ended",
    (inner) => {
      const ended = new Set<string>();
      return {
        commit(flush) {
          for (const { runId, run } of flush.runs) if (run?.finishedAt !== undefined) ended.add(runId);
          return inner.commit(flush);
        },
        async endedAmong(runIds) {
          const now = await inner.endedAmong(runIds);
          return runIds.filter((id) => ended.has(id) || now.includes(id));
        },
      };
    },
    "endedAmong() names the runs that have ended, and those that are not there",
  ],
  [
    "knows nothing of the runs that a run had started",
    asks((query) => ("parent" in query ? { ...query, parent: undefined } : query)),
    "list() of runs matches every filter, alone and together",
  ],
  [
    "lists steps by their names",
    lists((page, kind) =>
      kind === "steps" ? { ...page, items: [...page.items].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1)) } : page,
    ),
    "list() of steps gives them whole, in the order they were written",
  ],
  [
    "knows a step by its name alone",
    commits((changes) => ({
      ...changes,
      steps: changes.steps.filter(
        ({ step }, place) => changes.steps.findLastIndex((other) => other.step === step) === place,
      ),
    })),
    "commit() replaces a step of the same name within its task, index and generation",
  ],
  [
    "keeps a step once for each attempt",
    commits((changes) => ({
      ...changes,
      steps: changes.steps.map((step) => ({ ...step, step: step.attempt > 1 ? `${step.step} again` : step.step })),
    })),
    "commit() replaces a step of the same name within its task, index and generation",
  ],
  [
    "lists the steps of all items",
    asks((query, kind) => (kind === "steps" ? { ...query, index: undefined } : query)),
    "list() of steps matches every filter",
  ],
  [
    "lists the steps of all generations",
    asks((query, kind) => (kind === "steps" ? { ...query, generation: undefined } : query)),
    "list() of steps matches every filter",
  ],
  [
    "trims the names of steps",
    commits((changes) => ({ ...changes, steps: changes.steps.map((step) => ({ ...step, step: step.step.trim() })) })),
    "steps and assets of every name come back as they were",
  ],
  [
    "keeps an asset once for each run",
    (inner) => {
      const made = new Set<string>();
      const isNew = (runId: string, asset: string) => made.size < made.add(`${runId}/${asset}`).size;
      return commits((changes) => ({
        ...changes,
        assets: changes.assets.filter(({ runId, asset }) => isNew(runId, asset)),
      }))(inner);
    },
    "list() of assets gives each time one was made, in the order they were written, and matches every filter",
  ],
];
