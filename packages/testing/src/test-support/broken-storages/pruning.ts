import { isRunFinished, type RunRecord, type Storage } from "weftline";
import { allRuns, type Fault, type Overrides } from "./fault.js";

/** Prunes one run after the other, the oldest first, by a rule of its own. */
function prunesBy(mayGo: (run: RunRecord, runs: readonly RunRecord[]) => boolean): Overrides {
  return (inner) => ({
    async prune({ before, limit }) {
      let deleted = 0;
      for (const { id } of [...(await allRuns(inner))].reverse()) {
        const runs = await allRuns(inner);
        const run = runs.find((other) => other.id === id)!;
        if (deleted === limit || !isRunFinished(run.status) || run.finishedAt! >= before || !mayGo(run, runs)) continue;
        if ((await inner.deleteRun(id)) === "deleted") deleted++;
      }
      return deleted;
    },
  });
}

const isChildOf = (parent: RunRecord) => (run: RunRecord) => run.parent?.runId === parent.id;

/** Stores that go wrong about what belongs together when they prune. */
export const PRUNING_FAULTS: readonly Fault[] = [
  [
    "prunes children while their parent goes on",
    prunesBy((run, runs) => !runs.some(isChildOf(run))),
    "prune() deletes no run while its parent goes on, and none of which a child goes on",
  ],
  [
    "prunes parents while a child goes on",
    prunesBy((run, runs) => {
      const parent = runs.find(({ id }) => id === run.parent?.runId);
      return parent === undefined || isRunFinished(parent.status);
    }),
    "prune() deletes no run while its parent goes on, and none of which a child goes on",
  ],
  [
    "prunes a parent before its children",
    prunesBy((run, runs) => !runs.some((other) => isChildOf(run)(other) && !isRunFinished(other.status))),
    "prune() deletes a parent never before its children, however old it is itself",
  ],
  [
    "never prunes what has had a child",
    (inner) => {
      const parents = new Set<string>();
      return {
        createRuns(runs) {
          for (const { parent } of runs) if (parent !== undefined) parents.add(parent.runId);
          return inner.createRuns(runs);
        },
        ...prunesBy((run) => !parents.has(run.id))(inner),
      };
    },
    "prune() deletes a run whose parent was deleted, and one whose children were",
  ],
  [
    "waits for the end of a parent that is not there",
    prunesBy((run, runs) => run.parent === undefined || runs.some(({ id }) => id === run.parent!.runId)),
    "prune() deletes a run whose parent was deleted, and one whose children were",
  ],
  [
    "leaves cache entries that expired",
    (inner) => {
      const kept = new Map<string, Awaited<ReturnType<Storage["getCached"]>>>();
      return {
        commit(flush) {
          for (const { cached } of flush.runs) for (const entry of cached) kept.set(entry.key, entry);
          return inner.commit(flush);
        },
        getCached: async (key) => kept.get(key),
      };
    },
    "prune() deletes the cache entries that expired before the moment, and no others",
  ],
  [
    "empties the cache when it prunes",
    (inner) => {
      let isEmpty = false;
      return {
        prune(request) {
          isEmpty = true;
          return inner.prune(request);
        },
        getCached: async (key, now) => (isEmpty ? undefined : inner.getCached(key, now)),
      };
    },
    "prune() deletes the cache entries that expired before the moment, and no others",
  ],
  [
    "keeps signals for ever",
    (inner) => ({
      sendSignals: (signals) =>
        inner.sendSignals(signals.map((signal) => ({ ...signal, sentAt: signal.sentAt + 1e12 }))),
    }),
    "prune() deletes the keyed signals that were sent before the moment, and no others",
  ],
  [
    "prunes signals that tasks have been given",
    (inner) => {
      let prunedBefore = 0;
      return {
        prune(request) {
          prunedBefore = request.before;
          return inner.prune(request);
        },
        receive: async (engineId) => (await inner.receive(engineId)).filter(({ sentAt }) => sentAt >= prunedBefore),
      };
    },
    "prune() deletes the keyed signals that were sent before the moment, and no others",
  ],
];
