import type { Node, Pipeline, Storage } from "weftline";
import type { DurableContender, Opened } from "./contender.js";
import { type Chains, type Parallel, range, WORKS, type Workload } from "./workloads.js";

type Flow = Pipeline<Record<never, never>>;

export const weftlineOnPostgres: DurableContender = async (place, workloads) => {
  const { postgresStorage } = await import("@weftline/storage-postgres");
  return opened(postgresStorage({ connectionString: place }), workloads);
};

export function weftlineOnSqlite(durability: "full" | "normal"): DurableContender {
  return async (place, workloads) => {
    const { sqliteStorage } = await import("@weftline/storage-sqlite");
    return opened(sqliteStorage({ file: place, durability }), workloads);
  };
}

/** As it comes. */
async function opened(storage: Storage, workloads: readonly Workload[]): Promise<Opened> {
  const { createEngine } = await import("weftline");
  const flows = new Map<Workload, Flow>();
  for (const workload of workloads) if (!flows.has(workload)) flows.set(workload, await flowOf(workload));
  const engine = createEngine({ pipelines: [...flows.values()], storage });
  await engine.start();
  const once = async (flow: Flow) => (await engine.trigger(flow)).result();
  return {
    run: async (workload) => {
      const flow = flows.get(workload)!;
      const runs = workload.kind === "chains" ? workload.runs : 1;
      await Promise.all(range(runs).map(() => once(flow)));
    },
    close: () => engine.stop(),
  };
}

let defined = 0;

async function flowOf(workload: Workload): Promise<Flow> {
  const { pipeline } = await import("weftline");
  const id = `bench-${++defined}`;
  if (workload.kind === "chains") return chainOf(pipeline, id, workload);
  return parallelOf(pipeline, id, workload);
}

/** Its result is the last task's output, so that a run is not over before that can be read. */
function chainOf(pipeline: typeof import("weftline").pipeline, id: string, { tasks, work }: Chains): Flow {
  return pipeline(id, (p) => {
    let last: Node<unknown> | undefined;
    for (const task of range(tasks)) {
      last = p.task(
        `task-${task}`,
        { needs: last === undefined ? {} : { before: last } },
        WORKS[work] as () => unknown,
      );
    }
    return { last: last! };
  });
}

function parallelOf(pipeline: typeof import("weftline").pipeline, id: string, { tasks }: Parallel): Flow {
  return pipeline(id, (p) => {
    for (const task of range(tasks)) p.task(`task-${task}`, WORKS["no-op"]);
  });
}
