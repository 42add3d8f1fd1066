import type { FlowJob } from "bullmq";
import type { DurableContender } from "./contender.js";
import { range, WORKS, type Workload, type WorkName } from "./workloads.js";

const QUEUE = "bench";
/** Its default is one job at a time. */
const CONCURRENCY = 100;
/** The parent that a parallel run needs to know when it has ended. */
const JOIN = "join";

/** Flows: a job waits for its children, so the first task of a chain is the innermost child. */
export const bullmqFlows: DurableContender = async (place) => {
  const { FlowProducer, Worker } = await import("bullmq");
  const { hostname: host, port } = new URL(place);
  const connection = { host, port: Number(port) };
  const producer = new FlowProducer({ connection });
  const worker = new Worker(QUEUE, async ({ name }) => (name === JOIN ? undefined : WORKS[name as WorkName]()), {
    connection,
    concurrency: CONCURRENCY,
  });
  let rootsEnded = () => {};
  let rootsLeft = 0;
  worker.on("completed", ({ parent }) => {
    if (parent === undefined && --rootsLeft === 0) rootsEnded();
  });
  await worker.waitUntilReady();
  return {
    run: async (workload) => {
      const flows = flowsOf(workload);
      rootsLeft = flows.length;
      const ended = new Promise<void>((resolve) => {
        rootsEnded = resolve;
      });
      await producer.addBulk(flows);
      await ended;
    },
    close: async () => {
      await worker.close();
      await producer.close();
    },
  };
};

function flowsOf(workload: Workload): FlowJob[] {
  if (workload.kind === "chains") return range(workload.runs).map(() => chainOf(workload.tasks, workload.work));
  return [{ name: JOIN, queueName: QUEUE, children: range(workload.tasks).map(() => jobOf("no-op")) }];
}

function chainOf(tasks: number, work: WorkName): FlowJob {
  return range(tasks - 1).reduce<FlowJob>((child) => ({ ...jobOf(work), children: [child] }), jobOf(work));
}

function jobOf(work: WorkName): FlowJob {
  return { name: work, queueName: QUEUE };
}
