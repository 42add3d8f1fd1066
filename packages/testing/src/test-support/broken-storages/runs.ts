import { allRuns, asJson, type Fault } from "./fault.js";

/** Stores that go wrong when runs are created and claimed. */
export const RUN_FAULTS: readonly Fault[] = [
  [
    "gives a claimed run without a new epoch",
    (inner) => ({
      claimRuns: async (request) =>
        (await inner.claimRuns(request)).map((run) => ({ ...run, epoch: Math.max(0, run.epoch - 1) })),
    }),
    "claimRuns() gives each run to its caller under an epoch one higher",
  ],
  [
    "claims runs before their time",
    (inner) => ({ claimRuns: (request) => inner.claimRuns({ ...request, now: request.now + 1 }) }),
    "claimRuns() leaves runs until their time, by the engine's clock",
  ],
  [
    "claims runs whatever their definition",
    (inner) => ({
      claimRuns: (request) => inner.claimRuns({ ...request, definitions: ["A", "B", "C", ...request.definitions] }),
    }),
    "claimRuns() takes only runs of the definitions the engine has",
  ],
  [
    "looks only at the oldest hundred runs",
    (inner) => ({
      async claimRuns(request) {
        const { items } = await inner.list("runs", {}, { limit: 1_000 });
        const oldest = items.slice(-100).some(({ definition }) => request.definitions.includes(definition));
        return oldest ? inner.claimRuns(request) : [];
      },
    }),
    "claimRuns() finds runs of its definitions behind any number of others",
  ],
  [
    "reads free runs and takes them in two steps",
    (inner) => ({
      async claimRuns(request) {
        const { items } = await inner.list("runs", {}, { limit: request.limit });
        const free = items.filter(({ owner }) => owner === undefined);
        await new Promise(setImmediate);
        await inner.claimRuns(request);
        return free.map((run) => ({ ...run, owner: request.engineId, epoch: 1 }));
      },
    }),
    "claimRuns() gives no run to two callers that ask at once",
  ],
  [
    "ignores the limit of a claim",
    (inner) => ({ claimRuns: (request) => inner.claimRuns({ ...request, limit: 1_000 }) }),
    "claimRuns() takes the oldest first, and no more than asked for",
  ],
  [
    "checks a key before it takes it",
    (inner) => ({
      async createRuns(runs) {
        await new Promise(setImmediate);
        const { items } = await inner.list("runs", {}, { limit: 1_000 });
        await new Promise(setImmediate);
        const known = items.filter(({ key }) => key !== undefined);
        const free = runs.map((run) => (known.some(({ key }) => key === run.key) ? run : { ...run, key: undefined }));
        return inner.createRuns(free);
      },
    }),
    "createRuns() makes one run of a key however many ask for it at once",
  ],
  [
    "ignores fingerprints",
    (inner) => ({ createRuns: (runs) => inner.createRuns(runs.map((run) => ({ ...run, fingerprint: "" }))) }),
    "createRuns() answers a used key with another fingerprint with a conflict, and changes nothing",
  ],
  [
    "has one space of keys for all pipelines",
    (inner) => ({
      createRuns: async (runs) => {
        const answers = await inner.createRuns(runs.map((run) => ({ ...run, pipeline: "any" })));
        return answers;
      },
    }),
    "createRuns() keeps the keys of each pipeline apart",
  ],
  [
    "refuses the whole call for one conflict",
    (inner) => ({
      async createRuns(runs) {
        const answers = await inner.createRuns(runs);
        const conflict = answers.find(({ kind }) => kind === "conflict");
        return conflict ? answers.map(() => conflict) : answers;
      },
    }),
    "createRuns() treats each run on its own and answers in the same order",
  ],
  [
    "drops properties without a value",
    (inner) => ({ getRun: async (id) => asJson((await inner.getRun(id)) ?? null) ?? undefined }),
    "createRuns() answers with the whole record, queued and without owner under epoch 0",
  ],
  [
    "keeps runs by a number of its own, so that an id may come twice",
    (inner) => {
      let made = 0;
      return {
        createRuns: (runs) => inner.createRuns(runs.map((run) => ({ ...run, id: `${run.id}/${++made}` }))),
      };
    },
    "createRuns() makes one run of an id however many ask for it at once",
  ],
  [
    "looks at keys before it looks at ids",
    (inner) => ({
      async createRuns(runs) {
        const known = (await allRuns(inner)).filter(({ key }) => key !== undefined);
        const answers = await inner.createRuns(runs);
        return answers.map((answer, place) => {
          const first = known.find(({ key }) => key === runs[place]!.key);
          const isConflict = first !== undefined && first.fingerprint !== runs[place]!.fingerprint;
          return isConflict ? { kind: "conflict", runId: first.id } : answer;
        });
      },
    }),
    "createRuns() gives the existing run for a known id, whatever its key and fingerprint",
  ],
  [
    "replaces a run that is created again",
    (inner) => ({
      async createRuns(runs) {
        for (const { id } of runs) await inner.deleteRun(id);
        return inner.createRuns(runs);
      },
    }),
    "createRuns() gives the existing run for a known id, whatever its key and fingerprint",
  ],
  [
    "forgets which task started a run",
    (inner) => ({ createRuns: (runs) => inner.createRuns(runs.map((run) => ({ ...run, parent: undefined }))) }),
    "createRuns() answers with the whole record, queued and without owner under epoch 0",
  ],
  [
    "claims the oldest first, whatever their priority",
    (inner) => ({ createRuns: (runs) => inner.createRuns(runs.map((run) => ({ ...run, priority: 0 }))) }),
    "claimRuns() takes the highest priority first, then the oldest",
  ],
  [
    "keeps priorities in 32 bits",
    (inner) => ({
      createRuns: (runs) => inner.createRuns(runs.map((run) => ({ ...run, priority: run.priority | 0 }))),
    }),
    "claimRuns() takes the highest priority first, then the oldest",
  ],
  [
    "sorts by priority what it has chosen by age",
    (inner) => ({
      async claimRuns(request) {
        const ids = (await allRuns(inner)).filter(({ owner }) => owner === undefined).reverse();
        const claimed = await inner.claimRuns({ ...request, limit: 1_000 });
        const oldest = new Set(ids.slice(0, request.limit).map(({ id }) => id));
        return claimed.filter(({ id }) => oldest.has(id));
      },
    }),
    "claimRuns() takes the highest priority first, then the oldest",
  ],
  [
    "puts runs that were given back in front of all others",
    (inner) => ({
      async claimRuns(request) {
        const claimed = await inner.claimRuns(request);
        return [...claimed].sort((a, b) => b.epoch - a.epoch);
      },
    }),
    "claimRuns() goes by priority among runs that were given back, too",
  ],
];
