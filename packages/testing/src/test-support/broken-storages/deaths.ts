import type { RunRecord } from "weftline";
import { ON_DISK } from "../sound-storages.js";
import { claims, commits, type Fault, lists, pause } from "./fault.js";

/** Stores that go wrong when an engine dies. */
export const DEATH_FAULTS: readonly Fault[] = [
  [
    "takes the engines of a process that was killed for stopped ones",
    claims((runs) => runs.map((run) => ({ ...run, crashes: 0 }))),
    "durable: a store for one process gives back, when it is opened, what a dead engine had owned",
    ON_DISK,
  ],
  [
    "lets the engines of a process that is gone keep their runs",
    (inner) => ({
      async getRun(id) {
        const run = await inner.getRun(id);
        return run && { ...run, owner: run.owner ?? "dead" };
      },
    }),
    "durable: a store for one process gives back, when it is opened, what a dead engine had owned",
    ON_DISK,
  ],
  [
    "counts a crash of every run that a dead engine had",
    claims((runs) => runs.map((run) => ({ ...run, crashes: run.epoch > 1 ? 1 : 0 }))),
    "an engine's death counts one more crash of each run that was running, and of no other",
  ],
  [
    "counts no crash when the dead engine itself notices",
    (inner) => {
      const counts = new Map<string, number>();
      return {
        async renewLease(request) {
          const { items } = await inner.list("runs", {}, { limit: 1_000 });
          const state = await inner.renewLease(request);
          if (state.lost) for (const { id, crashes } of items) counts.set(id, crashes);
          return state;
        },
        ...lists((page) => ({
          ...page,
          items: (page.items as RunRecord[]).map((run) => ({ ...run, crashes: counts.get(run.id) ?? run.crashes })),
        }))(inner),
      };
    },
    "an engine's death counts one more crash of each run that was running, and of no other",
  ],
  [
    "lets a dead engine keep its runs until somebody claims them",
    (inner) => ({
      async getRun(id) {
        const run = await inner.getRun(id);
        return run && { ...run, owner: run.owner ?? "engine-1" };
      },
    }),
    "renewLease() after the lease had run out gives the engine's runs back at once, for anybody to claim",
  ],
  [
    "never forgives an engine that lost its lease",
    (inner) => {
      const dead = new Set<string>();
      return {
        async renewLease(request) {
          const state = await inner.renewLease(request);
          if (state.lost) dead.add(request.engineId);
          return state;
        },
        claimRuns: async (request) => (dead.has(request.engineId) ? [] : inner.claimRuns(request)),
      };
    },
    "an engine that lost its lease can claim what nobody else has taken, under the next epoch",
  ],
  [
    "gives back only what the claim takes",
    lists((page) => ({ ...page, items: (page.items as RunRecord[]).map((run) => ({ ...run, owner: "engine-1" })) })),
    "claimRuns() gives back all runs of a dead engine, whatever the claim itself may take",
  ],
  [
    "takes every stop for a death",
    (inner) => ({
      async releaseLease(engineId) {
        const renewal = { engineId, leaseMs: Number.MIN_VALUE, isNew: false, definitions: [] };
        await inner.renewLease(renewal);
        await inner.renewLease(renewal);
        await inner.releaseLease(engineId);
      },
    }),
    "releaseLease() counts no crash",
  ],
  [
    "counts a death for each engine that notices it",
    (inner) => {
      let noticing = 0;
      return {
        async claimRuns(request) {
          const notices = ++noticing;
          await pause();
          return (await inner.claimRuns(request)).map((run) => ({ ...run, crashes: run.crashes * notices }));
        },
      };
    },
    "a death counts once, however many claim at once",
  ],
  [
    "fences only what somebody else owns by now",
    (inner) => ({
      async commit(flush) {
        const outcome = await inner.commit(flush);
        if (outcome.kind !== "ok") return outcome;
        const runs = await Promise.all(outcome.fenced.map((id) => inner.getRun(id)));
        return { kind: "ok", fenced: outcome.fenced.filter((_, place) => runs[place]?.owner !== undefined) };
      },
    }),
    "an engine that died writes nothing any more, also when it registers again under the same id",
  ],
  [
    "remaps what a dead engine had",
    () => ({ remapRun: async () => "moved" }),
    "an engine that died writes nothing any more, also when it registers again under the same id",
  ],
  [
    "counts crashes by itself, whatever it is told",
    commits(({ run, ...changes }) => ({ ...changes, run: run && { ...run, crashes: 0 } })),
    "commit() writes the number of crashes a run has from now on",
  ],
  [
    "leaves a run its crashes when it is resumed",
    (inner) => {
      const counts = new Map<string, number>();
      return {
        ...commits((changes) => {
          if (changes.run) counts.set(changes.runId, changes.run.crashes);
          return changes;
        })(inner),
        ...lists((page) => ({
          ...page,
          items: (page.items as RunRecord[]).map((run) => ({ ...run, crashes: counts.get(run.id)! })),
        }))(inner),
      };
    },
    "send() of a resume or a rerun takes a run's crashes from it",
  ],
  [
    "gives back only what was claimed",
    (inner) => {
      const created = new Set<string>();
      return {
        createRuns(runs) {
          for (const { id, owner } of runs) if (owner !== undefined) created.add(id);
          return inner.createRuns(runs);
        },
        claimRuns: async (request) => (await inner.claimRuns(request)).filter(({ id }) => !created.has(id)),
      };
    },
    "a run that its engine created dies with it like any other",
  ],
];
