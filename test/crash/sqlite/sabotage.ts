import type { CommitOutcome, Flush, Storage } from "weftline";

/**
 * Faults of a storage that the harness has to find, each as an adapter could have it.
 *
 * - `confirms-early`: a commit is confirmed before it is written.
 * - `drops-outputs`: the last task record of each flush that ends a task is left out.
 * - `forgets-messages`: a message is confirmed, and never kept.
 * - `tears-flushes`: tasks and attempts of a flush are written in two transactions.
 * - `reuses-epochs`: a run that is claimed keeps the epoch that it had. That is in the SQL: see {@link REUSED_EPOCH}.
 * - `fires-twice`: an instant of a schedule makes two runs.
 */
export const SABOTAGES = [
  ...(["confirms-early", "drops-outputs", "forgets-messages", "tears-flushes"] as const),
  ...(["reuses-epochs", "fires-twice"] as const),
] as const;
export type Sabotage = (typeof SABOTAGES)[number];

/** What an adapter says to give out an epoch, and what it would say to give out the same one again. */
export const REUSED_EPOCH = ["epoch = epoch + 1", "epoch = CASE WHEN epoch = 0 THEN 1 ELSE epoch END"] as const;

const NO_CHANGES = {
  run: undefined,
  tasks: [],
  attempts: [],
  logs: [],
  metrics: [],
  artifacts: [],
  steps: [],
  assets: [],
};

/** @returns The storage itself where there is no sabotage. */
export function sabotaged(storage: Storage, sabotage: Sabotage | undefined): Storage {
  if (sabotage === undefined) return storage;
  const members = FAULTS[sabotage](storage);
  return new Proxy(storage, {
    get(target, name) {
      const member: unknown = Reflect.get(members, name) ?? Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

const FAULTS: Readonly<Record<Sabotage, (storage: Storage) => Partial<Storage>>> = {
  "confirms-early": (storage) => ({
    commit: async (flush) => {
      // Long enough for the engine to act on it.
      setTimeout(() => void storage.commit(flush), 30);
      return { kind: "ok", fenced: [] };
    },
  }),
  "drops-outputs": (storage) => ({
    commit: (flush) => storage.commit(withoutLastEnd(flush)),
  }),
  "forgets-messages": () => ({
    send: async (messages) => messages.map(() => ({ kind: "sent" })),
  }),
  "tears-flushes": (storage) => ({
    async commit(flush): Promise<CommitOutcome> {
      const first = {
        ...flush,
        id: `${flush.id}/1`,
        runs: flush.runs.map((run) => ({ ...run, attempts: [], run: undefined })),
      };
      const outcome = await storage.commit(first);
      if (outcome.kind !== "ok") return outcome;
      const rest = flush.runs.map(({ runId, epoch, attempts, run }) => ({
        ...{ ...NO_CHANGES, cached: [], consumed: [], runId, epoch },
        ...{ attempts, run },
      }));
      return storage.commit({ ...flush, runs: rest });
    },
  }),
  "reuses-epochs": () => ({}),
  "fires-twice": (storage) => ({
    async fire(request) {
      const outcome = await storage.fire(request);
      const { run } = request;
      if (outcome === "fired" && run) await storage.createRuns([{ ...run, id: `${run.id}-again` }]);
      return outcome;
    },
  }),
};

function withoutLastEnd(flush: Flush): Flush {
  const runs = flush.runs.map((changes) => {
    const last = changes.tasks.findLastIndex(({ status, index }) => status === "succeeded" && index.length === 0);
    return { ...changes, tasks: changes.tasks.filter((_, place) => place !== last) };
  });
  return { ...flush, runs };
}
