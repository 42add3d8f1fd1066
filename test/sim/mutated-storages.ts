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
const withoutFence = withMethods((inner) => ({
  async commit(flush) {
    const outcome = await inner.commit(flush);
    if (outcome.kind !== "ok" || outcome.fenced.length === 0) return outcome;
    for (const runId of outcome.fenced) await forced(inner, flush, runId);
    return { kind: "ok", fenced: [] };
  },
}));

let forcedFlushes = 0;

async function forced(inner: Storage, flush: Flush, runId: string): Promise<void> {
  const run = await inner.getRun(runId);
  const changes = flush.runs.find((other) => other.runId === runId);
  if (run?.owner === undefined || changes === undefined) return;
  const id = `${flush.id}/forced${++forcedFlushes}`;
  await inner.commit({ id, engineId: run.owner, runs: [{ ...changes, epoch: run.epoch }] });
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

/** By name: mutations that are made by a wrapper around a storage. */
export const MUTATED_STORAGES: Readonly<Record<string, Mutations>> = {
  "no-fence": { store: withoutFence },
  "renewal-without-cas": { store: withoutCompareAndSet },
  "no-bisect": { store: withoutBisect },
  "new-flush-id": { engine: withNewFlushIds },
};
