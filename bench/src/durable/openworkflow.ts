import Module from "node:module";
import type { OpenWorkflow } from "openworkflow";
import type { DurableContender, Opened } from "./contender.js";
import { range, WORKS, type WorkName } from "./workloads.js";

type Backend = ConstructorParameters<typeof OpenWorkflow>[0]["backend"];

/** Its default is one run at a time. */
const CONCURRENCY = 100;
/** The default of its driver is 10. */
const CONNECTIONS = 20;

export const openWorkflowOnPostgres: DurableContender = async (place) => {
  const { BackendPostgres } = await import("openworkflow/postgres").catch((cause: unknown) => {
    throw new Error("its driver, the package postgres, is not installed", { cause });
  });
  const url = new URL(place);
  url.searchParams.set("max", String(CONNECTIONS));
  return opened(await BackendPostgres.connect(url.href));
};

export function openWorkflowOnSqlite(durability: "full" | "normal"): DurableContender {
  return async (place) => {
    await lendSqlite(durability);
    const { BackendSqlite } = await import("openworkflow/sqlite");
    return opened(BackendSqlite.connect(place));
  };
}

/**
 * It takes the SQLite that Node 22 has. Everybody is measured with the same driver and the same durability, so it gets a
 * driver of the same API that is told both.
 */
async function lendSqlite(durability: "full" | "normal"): Promise<void> {
  const { DatabaseSync } = await import("@photostructure/sqlite");
  const loader = Module as unknown as { _load(request: string, ...rest: unknown[]): unknown };
  const load = loader._load;
  function Database(path: string) {
    const db = new DatabaseSync(path);
    db.exec(`PRAGMA synchronous = ${durability}`);
    return db;
  }
  loader._load = (request, ...rest) =>
    request === "node:sqlite" ? { DatabaseSync: Database } : load.call(loader, request, ...rest);
}

async function opened(backend: Backend): Promise<Opened> {
  const { OpenWorkflow } = await import("openworkflow");
  const ends = watchEnds(backend);
  const client = new OpenWorkflow({ backend });
  const chain = client.defineWorkflow<{ tasks: number; work: WorkName }, null>(
    { name: "chain" },
    async ({ input, step }) => {
      // A step is found again by its name, so each needs one of its own.
      for (const task of range(input.tasks)) await step.run<unknown>({ name: `task-${task}` }, WORKS[input.work]);
      return null;
    },
  );
  const parallel = client.defineWorkflow<{ tasks: number }, null>({ name: "parallel" }, async ({ input, step }) => {
    await Promise.all(range(input.tasks).map((task) => step.run({ name: `task-${task}` }, WORKS["no-op"])));
    return null;
  });
  const worker = client.newWorker({ concurrency: CONCURRENCY });
  await worker.start();
  return {
    run: async (workload) => {
      const ended = ends(workload.kind === "chains" ? workload.runs : 1);
      if (workload.kind === "parallel") await parallel.run({ tasks: workload.tasks });
      else await Promise.all(range(workload.runs).map(() => chain.run({ tasks: workload.tasks, work: workload.work })));
      await ended;
    },
    close: async () => {
      await worker.stop();
      await backend.stop();
    },
  };
}

/**
 * Its `result()` asks once a second, which would be most of what is measured, so a run counts as ended when the backend
 * has confirmed it. @returns What waits for so many runs to end.
 */
function watchEnds(backend: Backend): (runs: number) => Promise<void> {
  let left = 0;
  let allEnded = () => {};
  const complete = backend.completeWorkflowRun.bind(backend);
  backend.completeWorkflowRun = async (params) => {
    const run = await complete(params);
    if (--left === 0) allEnded();
    return run;
  };
  return (runs) =>
    new Promise((resolve) => {
      left = runs;
      allEnded = resolve;
    });
}
