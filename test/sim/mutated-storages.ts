import type { CommitOutcome, Flush, Storage } from "weftline";
import type { Mutations } from "../../packages/testing/src/simulator.js";

type Wrapper = (inner: Storage) => Partial<Storage>;

/** A storage some of whose methods are others. */
function withMethods(wrapper: Wrapper): (inner: Storage) => Storage {
  return (inner) => {
    const own = wrapper(inner);
    return new Proxy(inner, {
      get(target, name) {
        if (Object.hasOwn(own, name)) return own[name as keyof Storage];
        const member: unknown = Reflect.get(target, name);
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
  };
}

/** A write under a former epoch is taken, as if it came from the owner. */
const withoutFence = withMethods((inner) => {
  const last = new Map<string, number>();
  return {
    async commit(flush) {
      last.set(flush.engineId, flush.number);
      const outcome = await inner.commit(flush);
      if (outcome.kind !== "ok" || outcome.fenced.length === 0) return outcome;
      for (const runId of outcome.fenced) await forced(inner, flush, runId, last);
      return { kind: "ok", fenced: [] };
    },
  };
});

let forcedFlushes = 0;

async function forced(inner: Storage, flush: Flush, runId: string, last: ReadonlyMap<string, number>): Promise<void> {
  const run = await inner.getRun(runId);
  const changes = flush.runs.find((other) => other.runId === runId);
  if (run?.owner === undefined || changes === undefined) return;
  const id = `${flush.id}/forced${++forcedFlushes}`;
  const number = last.get(run.owner) ?? 0;
  await inner.commit({ id, number, engineId: run.owner, runs: [{ ...changes, epoch: run.epoch }] });
}

/** Whoever renews a lease has it, whatever became of it meanwhile. */
const withoutCompareAndSet = withMethods((inner) => ({
  async renewLease(request) {
    return { ...(await inner.renewLease(request)), lost: false };
  },
}));

/** One bad value fails all that is in the same batch. */
const withoutBisect = withMethods((inner) => ({
  async commit(flush): Promise<CommitOutcome> {
    const outcome = await inner.commit(flush);
    if (outcome.kind !== "rejected") return outcome;
    const { message } = outcome.values[0]!;
    const values = flush.runs.flatMap(({ tasks }) =>
      tasks.map(({ runId, task, index }) => ({ runId, task, index, message })),
    );
    return { kind: "rejected", values };
  },
}));

/** Each try at a flush has an id of its own. */
const withNewFlushIds = withMethods((inner) => {
  let sends = 0;
  return { commit: (flush) => inner.commit({ ...flush, id: `${flush.id}/${++sends}` }) };
});

/** Attempts of runs that are deleted stay listed. */
const withRemains = withMethods((inner) => {
  const left = new Map<string, Awaited<ReturnType<typeof attemptsOf>>>();
  return {
    async deleteRun(runId) {
      const attempts = await attemptsOf(inner, runId);
      const outcome = await inner.deleteRun(runId);
      if (outcome === "deleted") left.set(runId, attempts);
      return outcome;
    },
    list: async (...[kind, query, page]: Parameters<Storage["list"]>) => {
      const found = await inner.list(kind, query, page);
      const remains = kind === "attempts" && "runId" in query ? left.get(query.runId) : undefined;
      return (remains === undefined ? found : { items: remains, next: undefined }) as never;
    },
  };
});

async function attemptsOf(inner: Storage, runId: string) {
  return (await inner.list("attempts", { runId }, { limit: 1_000 })).items;
}

/** A run that is gone is told of as one that goes on. */
const withoutNewsOfDeletions = withMethods((inner) => ({
  async endedAmong(runIds) {
    const ended = await inner.endedAmong(runIds);
    const there = await Promise.all(ended.map(async (id) => (await inner.getRun(id)) !== undefined));
    return ended.filter((_, place) => there[place]);
  },
}));

const withoutExpiry = withMethods((inner) => ({
  getCached: (key) => inner.getCached(key, Number.NEGATIVE_INFINITY),
}));

/** By name: mutations that are made by a wrapper around a storage. */
export const MUTATED_STORAGES: Readonly<Record<string, Mutations>> = {
  "no-fence": { store: withoutFence },
  "renewal-without-cas": { store: withoutCompareAndSet },
  "no-bisect": { store: withoutBisect },
  "new-flush-id": { engine: withNewFlushIds },
  "attempts-stay": { store: withRemains },
  "gone-unheard": { engine: withoutNewsOfDeletions },
  "cache-for-ever": { store: withoutExpiry },
};
