import type { Storage } from "weftline";
import { allRuns, type Fault, freeRuns, pause } from "./fault.js";

/** How many runs of the pipeline have an owner, dead or alive. */
async function countOwned(inner: Storage, pipeline: string): Promise<number> {
  return (await allRuns(inner)).filter((run) => run.pipeline === pipeline && run.owner !== undefined).length;
}

/** Stores that go wrong about `maxActiveRuns`. */
export const LIMIT_FAULTS: readonly Fault[] = [
  [
    "ignores maxActiveRuns",
    (inner) => ({ claimRuns: (request) => inner.claimRuns({ ...request, maxActiveRuns: {} }) }),
    "claimRuns() takes of a pipeline in maxActiveRuns only as many as keep it within that",
  ],
  [
    "takes maxActiveRuns for the limit of one claim",
    (inner) => ({
      claimRuns: ({ maxActiveRuns: { p = 1_000 }, ...request }) =>
        inner.claimRuns({ ...request, maxActiveRuns: {}, limit: Math.min(p, request.limit) }),
    }),
    "claimRuns() takes of a pipeline in maxActiveRuns only as many as keep it within that",
  ],
  [
    "counts the caller's own runs alone",
    (inner) => ({
      async claimRuns(request) {
        const others = (await allRuns(inner)).filter(({ owner }) => owner !== undefined && owner !== request.engineId);
        const p = (request.maxActiveRuns.p ?? 0) + others.length;
        return inner.claimRuns({ ...request, maxActiveRuns: { p } });
      },
    }),
    "claimRuns() counts against maxActiveRuns the runs of all engines, in whatever status and definition",
  ],
  [
    "counts only runs of the definitions it was asked for",
    (inner) => ({
      async claimRuns(request) {
        const others = (await allRuns(inner)).filter(({ definition }) => !request.definitions.includes(definition));
        const p = (request.maxActiveRuns.p ?? 0) + others.length;
        return inner.claimRuns({ ...request, maxActiveRuns: { p } });
      },
    }),
    "claimRuns() counts against maxActiveRuns the runs of all engines, in whatever status and definition",
  ],
  [
    "counts the runs of dead engines",
    (inner) => ({
      async claimRuns(request) {
        const { p = 1_000 } = request.maxActiveRuns;
        return (await countOwned(inner, "p")) >= p ? [] : inner.claimRuns(request);
      },
    }),
    "claimRuns() does not count what was given back, or whose owner's lease has run out",
  ],
  [
    "goes by priority alone",
    (inner) => ({
      async claimRuns(request) {
        const [urgent] = (await freeRuns(inner)).filter(({ priority }) => priority > 5);
        if (urgent !== undefined) await inner.claimRuns({ ...request, runId: urgent.id });
        return inner.claimRuns(request);
      },
    }),
    "claimRuns() takes what has begun before what has not, whatever its priority, of a pipeline in maxActiveRuns too",
  ],
  [
    "looks for runs behind those that are held back only in the next claim",
    (inner) => ({
      async claimRuns(request) {
        const chosen = (await freeRuns(inner)).slice(0, request.limit);
        const { p = 1_000 } = request.maxActiveRuns;
        const held = Math.max(0, chosen.filter(({ pipeline }) => pipeline === "p").length - p);
        return inner.claimRuns({ ...request, limit: Math.max(1, request.limit - held) });
      },
    }),
    "claimRuns() passes over what maxActiveRuns holds back, and goes on behind it",
  ],
  [
    "compares the names of pipelines without regard to case",
    (inner) => ({
      claimRuns: (request) =>
        inner.claimRuns({
          ...request,
          maxActiveRuns: { ...request.maxActiveRuns, ...(request.maxActiveRuns.p && { P: request.maxActiveRuns.p }) },
        }),
    }),
    "claimRuns() has no limit for pipelines that maxActiveRuns does not name",
  ],
  [
    "finds a limit where an object inherits something",
    (inner) => ({
      claimRuns: (request) =>
        inner.claimRuns({ ...request, maxActiveRuns: { ...request.maxActiveRuns, constructor: 0 } }),
    }),
    "claimRuns() has no limit for pipelines that maxActiveRuns does not name",
  ],
  [
    "takes the oldest of a pipeline with a limit",
    (inner) => ({
      createRuns: (runs) => inner.createRuns(runs.map((run) => ({ ...run, priority: 0 }))),
    }),
    "claimRuns() takes the highest priority of a pipeline in maxActiveRuns",
  ],
  [
    "counts active runs before it takes more, in two steps",
    (inner) => ({
      async claimRuns(request) {
        const left = (request.maxActiveRuns.p ?? 1_000) - (await countOwned(inner, "p"));
        await pause();
        if (left <= 0) return [];
        return inner.claimRuns({ ...request, maxActiveRuns: {}, limit: Math.min(left, request.limit) });
      },
    }),
    "claimRuns() keeps within maxActiveRuns when many ask at once",
  ],
];
