import type { RemapRequest, Storage, TaskRecord } from "weftline";
import { type Fault, lists, type Overrides } from "./fault.js";

/** Asks for something else than it was asked for. */
function remaps(change: (request: RemapRequest, inner: Storage) => Promise<RemapRequest>): Overrides {
  return (inner) => ({ remapRun: async (request) => inner.remapRun(await change(request, inner)) });
}

/** Does what it was asked for, and from then on something else as well. */
function afterRemap(then: (inner: Storage, request: RemapRequest) => Partial<Storage>): Overrides {
  return (inner) => {
    const overrides: { -readonly [Name in keyof Storage]?: Storage[Name] } = {
      async remapRun(request) {
        const outcome = await inner.remapRun(request);
        Object.assign(overrides, then(inner, request));
        return outcome;
      },
    };
    return overrides;
  };
}

/** Stores that go wrong when a run gets another definition. */
export const REMAPPING_FAULTS: readonly Fault[] = [
  [
    "moves only what is current",
    afterRemap((inner) => ({
      list: (async (kind, query, page) =>
        "generation" in query ? { items: [], next: undefined } : inner.list(kind, query, page)) as Storage["list"],
    })),
    "remapRun() moves the records, attempts, steps and lines of each task to its new place and id",
  ],
  [
    "leaves lines under the ids that tasks had",
    afterRemap((inner, { tasks }) =>
      lists((page, kind) => {
        if (kind !== "logs") return page;
        const task = tasks.find(({ task }) => task === "by another name")!;
        return { ...page, items: page.items.map((line) => ({ ...line, ...("task" in line && task) })) };
      })(inner),
    ),
    "remapRun() moves the records, attempts, steps and lines of each task to its new place and id",
  ],
  [
    "moves tasks and leaves their items",
    afterRemap((inner) =>
      lists((page) => ({
        ...page,
        items: page.items.filter((record) => !("index" in record) || String(record.index) === ""),
      }))(inner),
    ),
    "remapRun() moves the records, attempts, steps and lines of each task to its new place and id",
  ],
  [
    "gives one id after the other, so that tasks that change theirs end up with the same",
    afterRemap((inner, { tasks }) =>
      lists((page, kind) => ({
        ...page,
        items: page.items.map((record) => (kind === "steps" ? { ...record, task: tasks.at(-1)!.task } : record)),
      }))(inner),
    ),
    "remapRun() lets tasks take each other's ids",
  ],
  [
    "leaves the artifacts of tasks that are gone",
    (inner) => {
      const kept = new Map<string, Awaited<ReturnType<Storage["getArtifact"]>>>();
      return {
        commit(flush) {
          for (const { artifacts } of flush.runs) for (const made of artifacts) kept.set(made.name, made);
          return inner.commit(flush);
        },
        getArtifact: async (_, name) => kept.get(name),
      };
    },
    "remapRun() deletes what there is of tasks that are not kept, and nothing of other runs",
  ],
  [
    "moves a run again that it has moved",
    (inner) => ({
      async remapRun(request) {
        const run = await inner.getRun(request.runId);
        if (run?.definition !== request.definition) return inner.remapRun(request);
        const back = request.tasks.map(({ position, task }) => ({ from: position, position, task }));
        await inner.remapRun({ ...request, definition: "somewhere else" });
        return inner.remapRun({ ...request, tasks: back });
      },
    }),
    "remapRun() moves a run once, however often it is asked",
  ],
  [
    "deletes what is at the same places in other runs",
    afterRemap((inner) => ({
      list: (async (kind, query, page) =>
        "runId" in query && query.runId === "run-2"
          ? { items: [], next: undefined }
          : inner.list(kind, query, page)) as Storage["list"],
    })),
    "remapRun() deletes what there is of tasks that are not kept, and nothing of other runs",
  ],
  [
    "leaves the run its former definition",
    remaps(async (request) => ({ ...request, definition: "definition-1" })),
    "remapRun() gives the run its new definition, and leaves everything else of it as it was",
  ],
  [
    "begins the run anew",
    afterRemap((inner) => ({
      async getRun(id) {
        const run = await inner.getRun(id);
        return run && { ...run, status: "queued", crashes: 0 };
      },
    })),
    "remapRun() gives the run its new definition, and leaves everything else of it as it was",
  ],
  [
    "lets a run be claimed under its former definition",
    (inner) => ({
      claimRuns: (request) => inner.claimRuns({ ...request, definitions: [...request.definitions, "definition-2"] }),
    }),
    "remapRun() gives the run its new definition, and leaves everything else of it as it was",
  ],
  [
    "adds what is written later beside what was moved",
    (inner) => {
      let moved: readonly TaskRecord[] = [];
      return {
        async remapRun(request) {
          const outcome = await inner.remapRun(request);
          moved = (await inner.list("tasks", { runId: request.runId }, { limit: 100 })).items;
          return outcome;
        },
        ...lists((page, kind) => (kind === "tasks" ? { ...page, items: [...moved, ...page.items] } : page))(inner),
      };
    },
    "what is written after remapRun() replaces the records that were moved",
  ],
  [
    "forgets what the tasks of a run waited for",
    afterRemap(() => ({ receive: async () => [] })),
    "a task that waits for a signal waits on at its new place, and one that is gone does not",
  ],
  [
    "gives signals to tasks that are gone",
    remaps(async (request) => ({
      ...request,
      tasks: [...request.tasks, { from: 1, position: 9, task: "gone" }],
    })),
    "a task that waits for a signal waits on at its new place, and one that is gone does not",
  ],
  [
    "does not look at epochs when it remaps",
    remaps(async (request, inner) => ({ ...request, epoch: (await inner.getRun(request.runId))?.epoch ?? 0 })),
    "remapRun() changes nothing for anybody but the owner under its present epoch",
  ],
  [
    "remaps the runs of others",
    remaps(async (request, inner) => ({
      ...request,
      engineId: (await inner.getRun(request.runId))?.owner ?? request.engineId,
    })),
    "remapRun() changes nothing for anybody but the owner under its present epoch",
  ],
];
