import { allTasks, type Fault, pageOf } from "./fault.js";

/** Stores that go wrong when the tasks and steps of runs are loaded. */
export const LOADING_FAULTS: readonly Fault[] = [
  [
    "loads items in the order of their texts",
    (inner) => ({
      async loadTasks(runIds, page) {
        const { items, next } = await inner.loadTasks(runIds, page);
        return { items: [...items].sort((a, b) => (`${a.index}` < `${b.index}` ? -1 : 1)), next };
      },
    }),
    "loadTasks() reads the tasks of a run in the definition's order, items in theirs",
  ],
  [
    "loads runs in the order of their own ids",
    (inner) => ({ loadTasks: (runIds, page) => inner.loadTasks([...runIds].sort(), page) }),
    "loadTasks() reads run after run, in the order of the ids, with none lost between pages",
  ],
  [
    "ends a page with the end of a run",
    (inner) => ({
      async loadTasks(runIds, page) {
        const { items, next } = await inner.loadTasks(runIds, page);
        const end = items.findIndex(({ runId }) => runId !== items[0]!.runId);
        return { items: end < 0 ? items : items.slice(0, end), next };
      },
    }),
    "loadTasks() reads run after run, in the order of the ids, with none lost between pages",
  ],
  [
    "loads every generation of runs that it loads together",
    (inner) => ({
      async loadTasks(runIds, page) {
        if (runIds.length === 1) return inner.loadTasks(runIds, page);
        return pageOf((await Promise.all(runIds.map((id) => allTasks(inner, id)))).flat(), page);
      },
    }),
    "loadTasks() reads of each run its current generations, and none of the others'",
  ],
  [
    "loads the steps of runs in the order of their own ids",
    (inner) => ({ loadSteps: (runIds, page) => inner.loadSteps([...runIds].sort(), page) }),
    "loadSteps() reads the steps of some runs, in the order of the ids and as they were written",
  ],
  [
    "loads steps by their names",
    (inner) => ({
      async loadSteps(runIds, page) {
        const { items, next } = await inner.loadSteps(runIds, page);
        return { items: [...items].sort((a, b) => (a.step < b.step ? -1 : 1)), next };
      },
    }),
    "loadSteps() reads the steps of some runs, in the order of the ids and as they were written",
  ],
  [
    "takes at most 999 parameters in one statement",
    (inner) => ({ loadSteps: (runIds, page) => inner.loadSteps(runIds.slice(0, 999), page) }),
    "loadTasks() and loadSteps() read 1,000 runs at once",
  ],
  [
    "goes on with steps from a cursor of tasks",
    (inner) => ({
      loadSteps: (runIds, { limit, cursor }) =>
        inner.loadSteps(runIds, cursor === undefined ? { limit } : { limit, cursor: cursor.replace("Tasks", "Steps") }),
    }),
    "loadTasks() and loadSteps() refuse a foreign cursor with CURSOR_INVALID",
  ],
];
