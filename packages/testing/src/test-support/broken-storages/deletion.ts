import type { Storage, TaskRecord } from "weftline";
import { allRuns, type Fault, type Overrides, pause } from "./fault.js";

/** Lists the records of a kind from what was written, whatever was deleted since. */
function leavesBehind(kept: "steps" | "assets"): Overrides {
  return (inner) => {
    const written: { readonly runId: string }[] = [];
    return {
      commit(flush) {
        for (const changes of flush.runs) written.push(...changes[kept]);
        return inner.commit(flush);
      },
      list: (async (kind, query, page) => {
        if (kind !== kept) return inner.list(kind, query, page);
        const { runId } = query as { runId: string };
        return { items: written.filter((record) => record.runId === runId), next: undefined };
      }) as Storage["list"],
    };
  };
}

/** Stores that go wrong when they delete and prune. */
export const DELETION_FAULTS: readonly Fault[] = [
  [
    "prunes runs that were resumed",
    (inner) => ({
      prune: async (request) => {
        const { items } = await inner.list("runs", { status: ["queued"] }, { limit: 10 });
        return (await inner.prune(request)) + items.length;
      },
    }),
    "prune() never deletes a run that has not ended, however old",
  ],
  [
    "prunes without a limit",
    (inner) => ({ prune: (request) => inner.prune({ ...request, limit: 1_000 }) }),
    "prune() deletes no more than its limit at once",
  ],
  [
    "leaves artifacts behind",
    (inner) => {
      const kept = new Map<string, Awaited<ReturnType<Storage["getArtifact"]>>>();
      return {
        async commit(flush) {
          for (const { runId, artifacts } of flush.runs) for (const a of artifacts) kept.set(`${runId}/${a.name}`, a);
          return inner.commit(flush);
        },
        getArtifact: async (runId, name) => kept.get(`${runId}/${name}`),
      };
    },
    "prune() deletes the whole history of a run and nothing of others",
  ],
  [
    "keeps the keys of pruned runs",
    (inner) => {
      const used = new Map<string, string>();
      return {
        async createRuns(runs) {
          const answers = await inner.createRuns(runs);
          return answers.map((answer, place) => {
            const { key, id } = runs[place]!;
            const first = key === undefined ? undefined : used.get(key);
            if (key !== undefined && first === undefined) used.set(key, id);
            return first === undefined ? answer : { kind: "conflict", runId: first };
          });
        },
      };
    },
    "prune() frees the keys of what it deletes",
  ],
  [
    "deletes runs that have not ended",
    (inner) => ({
      async deleteRun(runId) {
        const answer = await inner.deleteRun(runId);
        return answer === "active" ? "deleted" : answer;
      },
    }),
    "deleteRun() leaves a run that has not ended as it is, and says so",
  ],
  [
    "takes a run from its owner before it sees that it has not ended",
    (inner) => ({
      async deleteRun(runId) {
        const answer = await inner.deleteRun(runId);
        const owner = (await inner.getRun(runId))?.owner;
        if (answer === "active" && owner !== undefined) await inner.releaseLease(owner);
        return answer;
      },
    }),
    "deleteRun() leaves a run that has not ended as it is, and says so",
  ],
  [
    "says of any run that it was deleted",
    (inner) => ({ deleteRun: (runId) => inner.deleteRun(runId).then(() => "deleted") }),
    "deleteRun() of a run that does not exist says so",
  ],
  [
    "looks for a run and deletes it in two steps",
    (inner) => ({
      async deleteRun(runId) {
        const run = await inner.getRun(runId);
        await pause();
        if (run?.finishedAt === undefined) return inner.deleteRun(runId);
        await inner.deleteRun(runId);
        return "deleted";
      },
    }),
    "deleteRun() of a run that does not exist says so",
  ],
  [
    "only hides what was deleted",
    (inner) => {
      const hidden = new Set<string>();
      return {
        async deleteRun(runId) {
          hidden.add(runId);
          return "deleted";
        },
        getRun: async (runId) => (hidden.has(runId) ? undefined : inner.getRun(runId)),
      };
    },
    "deleteRun() frees the run's key and id, and nothing of it comes back with them",
  ],
  [
    "leaves steps behind",
    leavesBehind("steps"),
    "deleteRun() deletes a finished run with all its history, and nothing of others",
  ],
  [
    "leaves assets behind when it prunes",
    leavesBehind("assets"),
    "prune() deletes the whole history of a run and nothing of others",
  ],
  [
    "leaves earlier generations behind",
    (inner) => {
      const kept: TaskRecord[] = [];
      return {
        commit(flush) {
          for (const { tasks } of flush.runs) kept.push(...tasks);
          return inner.commit(flush);
        },
        list: (async (kind, query, page) => {
          const { generation } = query as { generation?: number };
          if (kind !== "tasks" || generation === undefined) return inner.list(kind, query, page);
          const { runId } = query as { runId: string };
          const items = kept.filter((task) => task.runId === runId && task.generation === generation);
          return { items, next: undefined };
        }) as Storage["list"],
      };
    },
    "deleteRun() deletes a finished run with all its history, and nothing of others",
  ],
  [
    "takes messages for runs that were deleted",
    (inner) => ({
      async send(messages) {
        const answers = await inner.send(messages);
        return answers.map((answer) =>
          answer.kind === "refused" && answer.code === "RUN_UNKNOWN" ? { kind: "sent" } : answer,
        );
      },
    }),
    "a run that was deleted takes no messages and no changes",
  ],
  [
    "deletes the runs that a run had started, too",
    (inner) => {
      const gone = new Set<string>();
      return {
        async deleteRun(runId) {
          for (const { id, parent } of await allRuns(inner)) if (parent?.runId === runId) gone.add(id);
          return inner.deleteRun(runId);
        },
        getRun: async (runId) => (gone.has(runId) ? undefined : inner.getRun(runId)),
      };
    },
    "deleteRun() leaves the runs that its tasks had started",
  ],
];
