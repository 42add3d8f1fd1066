import type { DurableContender } from "./contender.js";
import { range, WORKS, type WorkName } from "./workloads.js";

/** Its default is 10. With these its parallel work is twice as fast, its sequential work no slower. */
const POOL_SIZE = 50;

const SILENT = { info() {}, debug() {}, warn() {}, error() {} };

/** Workflows are started directly: no queue stands before them, so nothing limits how many run at once. */
export const dbos: DurableContender = async (place) => {
  const { DBOS } = await import("@dbos-inc/dbos-sdk");
  DBOS.setConfig({ name: "bench", systemDatabaseUrl: place, systemDatabasePoolSize: POOL_SIZE, logger: SILENT });
  const chain = DBOS.registerWorkflow(
    async (tasks: number, work: WorkName) => {
      for (let task = 0; task < tasks; task++) await DBOS.runStep<unknown>(WORKS[work], { name: "task" });
    },
    { name: "chain" },
  );
  const parallel = DBOS.registerWorkflow(
    async (tasks: number) => {
      await Promise.all(range(tasks).map(() => DBOS.runStep(WORKS["no-op"], { name: "task" })));
    },
    { name: "parallel" },
  );
  await DBOS.launch();
  return {
    run: async (workload) => {
      if (workload.kind === "parallel") return (await DBOS.startWorkflow(parallel)(workload.tasks)).getResult();
      const { runs, tasks, work } = workload;
      return Promise.all(range(runs).map(async () => (await DBOS.startWorkflow(chain)(tasks, work)).getResult()));
    },
    close: () => DBOS.shutdown(),
  };
};
