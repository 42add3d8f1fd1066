import { encode, type TaskJob } from "weftline";
import { contractPipelines } from "../../contract-pipelines.js";
import { type Fault, starts } from "./fault.js";

/** All that a structured clone keeps. */
function cloneOf(job: TaskJob): TaskJob {
  const kept: Partial<TaskJob> = structuredClone(job);
  return { input: {}, items: [], ...kept } as TaskJob;
}

/** Executors that run other jobs than they were given. */
export const JOB_FAULTS: readonly Fault[] = [
  [
    "finds tasks by their name alone",
    starts((job) => ({ pipeline: job.pipeline === "contract-twin" ? "contract" : job.pipeline })),
    "execute() keeps tasks of one name in different pipelines apart",
  ],
  [
    "runs whatever definition it has",
    starts((job) => (job.definition === "of another version" ? { definition: contractPipelines[0]!.hash } : {})),
    "execute() runs no code of another definition than the job's: DAG_CHANGED, for good",
  ],
  [
    "hands over encoded inputs",
    starts((job) => ({
      input: Object.fromEntries(Object.entries(job.input).map(([name, value]) => [name, encode(value, "output")])),
    })),
    "the task sees its params and inputs decoded, and no input that does not exist",
  ],
  [
    "forgets an item that is falsy",
    starts((job) => ({ items: job.items.map((item) => (item === "j1:0" ? encode(undefined, "item") : item)) })),
    "the task of a map sees its item decoded, and its place",
  ],
  [
    "loses what is known of the run",
    starts((job) => ({ run: { ...job.run, tags: [], key: undefined } })),
    "the task sees what is known of its run, itself and its attempt",
  ],
  [
    "makes a new idempotency key for each attempt",
    starts((job) => ({ runId: `${job.runId}-${job.attempt}` })),
    "the idempotency key is the same for every attempt, and another for every run, task and item",
  ],
  [
    "mixes up attempts that run at once",
    (inner) => {
      let last: TaskJob | undefined;
      return {
        async execute(job, port) {
          last = job;
          await Promise.resolve();
          return inner.execute(last, port);
        },
      };
    },
    "attempts that run at once do not mix up what they are given",
  ],
  [
    "finds tasks by their place alone",
    starts((job) => ({ task: contractPipelines[0]!.taskIds[job.position]! })),
    "execute() of a task that is not known fails with TASK_NOT_FOUND, for good",
  ],
  [
    "clones the job as a whole",
    (inner) => ({ execute: (job, port) => inner.execute(cloneOf(job), port) }),
    "the task sees its params and inputs decoded, and no input that does not exist",
  ],
  [
    "clones the job without its items",
    (inner) => ({
      execute: (job, port) => inner.execute({ ...cloneOf(job), input: job.input }, port),
    }),
    "the task of a map sees its item decoded, and its place",
  ],
  [
    "hands over the innermost item alone",
    starts((job) => ({ items: job.items.slice(-1) })),
    "the task of a mapped group sees the group's item; a map in it has items of its own, and the group's as the outer one",
  ],
  [
    "hands over items from the inside out",
    starts((job) => ({ items: job.items.toReversed() })),
    "the task of a mapped group sees the group's item; a map in it has items of its own, and the group's as the outer one",
  ],
  [
    "hands over the outermost index alone",
    starts((job) => ({ index: job.index.slice(0, 1) })),
    "the idempotency key is the same for every attempt, and another for every run, task and item",
  ],
  [
    "forgets the generation",
    starts(() => ({ generation: 1 })),
    "the idempotency key of a task that is run again is another for every generation, and the same for its attempts",
  ],
  [
    "takes the generation for the attempt's",
    starts((job) => ({ generation: job.generation * 100 + job.attempt })),
    "the idempotency key of a task that is run again is another for every generation, and the same for its attempts",
  ],
];
