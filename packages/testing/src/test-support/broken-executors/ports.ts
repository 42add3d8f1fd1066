import { decode, encode, type TaskPort } from "weftline";
import { overridden } from "../overridden.js";
import { delayed, type Fault, failure, speaks, succeeds } from "./fault.js";

/** Executors between whose code and port something gets lost. */
export const PORT_FAULTS: readonly Fault[] = [
  [
    "reports what a task says after its outcome",
    (inner) => ({ execute: (job, port) => inner.execute(job, delayed(port, 20)) }),
    "what the task says arrives in order, whole, and before the outcome",
  ],
  [
    "does not say that the code starts",
    speaks(() => ({ started() {} })),
    "started() is said when the code begins, once, and before all that it says",
  ],
  [
    "says that the code starts when it has ended",
    (inner) => ({
      async execute(job, port) {
        const outcome = await inner.execute(job, overridden(port, { started() {} }));
        port.started();
        return outcome;
      },
    }),
    "started() is said when the code begins, once, and before all that it says",
  ],
  [
    "crashes on what a task says after its end",
    (inner) => {
      let isBroken = false;
      return {
        async execute(job, port) {
          if (isBroken) return failure("Error", "gone");
          const log: TaskPort["log"] = (level, message, data) => {
            isBroken = message === "late";
            port.log(level, message, data);
          };
          return inner.execute(job, overridden(delayed(port, 0), { log }));
        },
      };
    },
    "what the task says after its end changes nothing, and the next attempt runs as ever",
  ],
  [
    "does every step again",
    speaks(() => ({ findStep: async () => undefined })),
    "a step that an earlier attempt has done is not done again: its kept output is used",
  ],
  [
    "takes undefined for a step that is to be done",
    speaks((port) => ({
      async findStep(step) {
        const kept = await port.findStep(step);
        return kept !== undefined && decode(kept) === undefined ? undefined : kept;
      },
    })),
    "a step that gave undefined counts as done",
  ],
  [
    "takes a question that nobody answers for a step that is to be done",
    speaks((port) => ({ findStep: (step) => port.findStep(step).catch(() => undefined) })),
    "a step that cannot be looked for is not done, and fails the attempt",
  ],
  [
    "keeps no step",
    speaks(() => ({ keepStep: async () => {} })),
    "each step is kept once under its name, encoded, with the moment it began",
  ],
  [
    "sends each step twice",
    speaks((port) => ({
      async keepStep(...args) {
        await port.keepStep(...args);
        await port.keepStep(...args);
      },
    })),
    "each step is kept once under its name, encoded, with the moment it began",
  ],
  [
    "counts the time of steps in seconds",
    speaks((port) => ({ keepStep: (step, output, startedAt) => port.keepStep(step, output, startedAt / 1_000) })),
    "each step is kept once under its name, encoded, with the moment it began",
  ],
  [
    "does not wait until a step is durable",
    speaks((port) => ({ keepStep: async (...args) => void port.keepStep(...args) })),
    "a step resolves only when it is durable",
  ],
  [
    "goes on when a step was not kept",
    speaks((port) => ({ keepStep: (...args) => port.keepStep(...args).catch(() => {}) })),
    "a step that cannot be made durable fails, and so does the attempt",
  ],
  [
    "keeps a step that failed",
    (inner) => ({
      async execute(job, port) {
        const outcome = await inner.execute(job, port);
        if (outcome.kind === "failed") await port.keepStep("bad", encode(null, "output"), Date.now());
        return outcome;
      },
    }),
    "what a step throws fails the attempt and is not kept; the steps before it are",
  ],
  [
    "gives every call of a step one name",
    speaks((port) => ({
      findStep: (step) => port.findStep(step.replace(/#.*/, "")),
      keepStep: (step, output, startedAt) => port.keepStep(step.replace(/#.*/, ""), output, startedAt),
    })),
    "steps done at once are kept apart, and each call of one name is a step of its own",
  ],
  [
    "mixes up the answers about steps that are asked for at once",
    speaks((port) => {
      let last = "";
      return {
        async findStep(step) {
          last = step;
          await Promise.resolve();
          return port.findStep(last);
        },
      };
    }),
    "steps done at once find what each of them has done before, whatever the order of the answers",
  ],
  [
    "mixes up the steps of attempts that run at once",
    (inner) => {
      let last: TaskPort | undefined;
      return {
        execute(job, port) {
          last = port;
          return inner.execute(job, overridden(port, { findStep: (step) => last!.findStep(step) }));
        },
      };
    },
    "steps of attempts that run at once reach the port of their own attempt",
  ],
  [
    "finds nothing in the cache",
    speaks(() => ({ findCached: async () => undefined })),
    "what the cache has is taken instead of running the task, with the run it came from",
  ],
  [
    "forgets which run an output was taken from",
    succeeds(({ cachedFrom: _, ...outcome }) => outcome),
    "what the cache has is taken instead of running the task, with the run it came from",
  ],
  [
    "forgets the key of the cache",
    succeeds(({ cacheKey: _, ...outcome }) => outcome),
    "what the cache does not have is made, and comes with the key it was looked for under",
  ],
  [
    "asks the cache again when it has nothing",
    speaks((port) => ({ findCached: async (key) => (await port.findCached(key)) ?? port.findCached(key) })),
    "what the cache does not have is made, and comes with the key it was looked for under",
  ],
  [
    "has a cache for each run",
    (inner) => ({
      async execute(job, port) {
        const own = (key: string) => `${job.runId}/${key}`;
        const speaking = overridden(port, { findCached: (key) => port.findCached(own(key)) });
        const outcome = await inner.execute(job, speaking);
        if (outcome.kind !== "succeeded" || outcome.cacheKey === undefined) return outcome;
        return { ...outcome, cacheKey: own(outcome.cacheKey) };
      },
    }),
    "equal keys of the cache are equal in every run, whatever the order of their properties, and no others are",
  ],
  [
    "fails with the cache",
    (inner) => ({
      async execute(job, port) {
        let fault: unknown;
        const findCached: TaskPort["findCached"] = (key) =>
          port.findCached(key).catch((error: unknown) => {
            fault = error;
            return undefined;
          });
        const outcome = await inner.execute(job, overridden(port, { findCached }));
        return fault === undefined ? outcome : failure("Error", String(fault));
      },
    }),
    "a cache that does not answer costs the work, not the task, and that is logged",
  ],
  [
    "hides that the cache does not answer",
    speaks((port) => ({ findCached: (key) => port.findCached(key).catch(() => undefined) })),
    "a cache that does not answer costs the work, not the task, and that is logged",
  ],
  [
    "asks the cache for every task",
    (inner) => ({
      async execute(job, port) {
        const cached = await port.findCached(job.task);
        return cached ? { kind: "succeeded", ...cached } : inner.execute(job, port);
      },
    }),
    "a task without a cache asks for nothing",
  ],
];
