const ENGINE = "packages/core/src/engine";

/** True the first time that an engine asks for a run that it took over: a run that was parked meanwhile is no other. */
function oncePerTenure(run) {
  const seen = `(${run}.core.seenByMutation ??= new Set())`;
  return `(${run}.record.epoch > 1 && !${seen}.has(instance + ${run}.record.id + ${run}.record.epoch) && ${seen}.add(instance + ${run}.record.id + ${run}.record.epoch))`;
}

/**
 * What the simulator has to find, each within {@link MAX_SEEDS}: an engine, or a store, that is wrong in one way. Those
 * without `source` are made by a wrapper around the storage (see `mutated-storages.ts`).
 */
export const MUTATIONS = [
  { name: "no-fence", what: "the store takes writes under a former epoch" },
  { name: "renewal-without-cas", what: "a lease that was lost is renewed" },
  { name: "new-flush-id", what: "a flush is sent again under another id" },
  { name: "no-bisect", what: "one bad value fails its whole batch" },
  {
    name: "publish-before-flush",
    what: "what follows from a flush happens before it is durable",
    source: {
      [`${ENGINE}/journal.ts`]: [
        [
          "      const outcome = await this.#send(flush);",
          "      settle(open, []);\n      const outcome = await this.#send(flush);",
        ],
        ['if (outcome.kind === "ok") return settle(open, outcome.fenced);', 'if (outcome.kind === "ok") return;'],
      ],
    },
  },
  {
    name: "wall-clock-lease",
    what: "an engine judges its lease by the wall clock",
    source: {
      "packages/core/src/lease/lease-renewal.ts": [
        [
          "return this.#options.leaseMs - (this.#options.clock.monotonicMs() - this.#board.renewedAt);",
          "return this.#options.leaseMs - (this.#options.clock.now() - this.#board.renewedAt);",
        ],
        ["const sentAt = clock.monotonicMs();", "const sentAt = clock.now();"],
      ],
      [`${ENGINE}/engine-lease.ts`]: [["const sentAt = clock.monotonicMs();", "const sentAt = clock.now();"]],
    },
  },
  {
    name: "no-self-fence",
    what: "an engine starts attempts without asking whether its lease holds",
    source: {
      [`${ENGINE}/engine.ts`]: [
        ["new Dispatcher(concurrency, breather, this.#lease.isHeld)", "new Dispatcher(concurrency, breather)"],
      ],
    },
  },
  {
    name: "sleep-starts-anew",
    what: "a sleep begins anew when its run is taken over",
    source: {
      [`${ENGINE}/run-waits.ts`]: [
        [
          'if (wait.kind === "sleep") this.#armSleep(instance, wait.until);',
          `if (wait.kind === "sleep") ${oncePerTenure("this.#run")} ? this.#sleepUntil(instance, this.#run.core.clock.now() + (this.#taskOf(instance).extra.sleepMs ?? 0)) : this.#armSleep(instance, wait.until);`,
        ],
      ],
    },
  },
  {
    name: "deadline-starts-anew",
    what: "a task's total timeout begins anew when its run is taken over",
    source: {
      [`${ENGINE}/run-attempts.ts`]: [
        [
          "if (!state.expansions.has(instance) && !this.#isGroup(instance)) this.armDeadline(instance, at);",
          `if (!state.expansions.has(instance) && !this.#isGroup(instance)) this.armDeadline(instance, ${oncePerTenure("this.#run")} ? this.#run.core.clock.now() : at);`,
        ],
      ],
    },
  },
  {
    name: "join-counted-twice",
    what: "the end of an item is counted twice by the map it belongs to",
    source: {
      "packages/core/src/run/consequences.ts": [
        ["  expansion.open--;\n", "  expansion.open -= expansion.open > 2 ? 2 : 1;\n"],
      ],
    },
  },
  {
    name: "uncounted-takeover",
    what: "runs of an engine that died are given back without counting the crash",
    source: {
      "packages/core/src/defaults/memory/ownership.ts": [
        ['status === "running" ? crashes + 1 : crashes', 'status === "running" ? crashes : crashes'],
      ],
    },
  },
  {
    name: "same-epoch",
    what: "a run is taken over under the epoch it had",
    source: {
      "packages/core/src/defaults/memory/ownership.ts": [
        ["epoch: run.record.epoch + 1 };", "epoch: Math.max(1, run.record.epoch) };"],
      ],
    },
  },
  { name: "attempts-stay", what: "a run is deleted without its attempts" },
  { name: "gone-unheard", what: "nobody who waits for a run is told that it was deleted" },
  {
    name: "children-first",
    what: "old runs are deleted while their parents go on",
    source: {
      "packages/core/src/defaults/memory/run-index.ts": [["test(run.record) && this.#isLast(run)", "test(run.record)"]],
    },
  },
  { name: "cache-for-ever", what: "a cached output is taken although it has expired" },
  {
    name: "cache-of-the-fenced",
    what: "what a former owner made is kept for others",
    source: {
      "packages/core/src/defaults/memory/run-writer.ts": [
        [
          '    const run = this.#owned(engineId, changes);\n    if (run === undefined) return "fenced";\n    run.write(changes);\n    for (const entry of changes.cached) this.#parts.cache(entry);',
          '    for (const entry of changes.cached) this.#parts.cache(entry);\n    const run = this.#owned(engineId, changes);\n    if (run === undefined) return "fenced";\n    run.write(changes);',
        ],
      ],
    },
  },
  {
    name: "one-cache-key",
    what: "equal work of all tasks of a pipeline has one key",
    source: {
      "packages/core/src/execute/run-attempt.ts": [
        [
          "const cacheKey = fingerprint(await cache.key(context));",
          "const cacheKey = fingerprint(void (await cache.key(context)));",
        ],
      ],
    },
  },
  {
    name: "outputs-left-behind",
    what: "a run is carried over without what its tasks have put out",
    source: {
      "packages/core/src/defaults/memory/run-store.ts": [
        [
          "const tasks = this.history.everyTask().flatMap((record) => moves.of(record) ?? []);",
          "const tasks = this.history.everyTask().flatMap((record) => moves.of({ ...record, output: undefined }) ?? []);",
        ],
      ],
    },
  },
  {
    name: "wrong-places",
    what: "a run is carried over with its tasks in their former places",
    source: {
      "packages/core/src/engine/remap.ts": [
        [
          "kept.push({ from, position: target!.position, task: name });",
          "kept.push({ from, position: from, task: name });",
        ],
      ],
    },
  },
  {
    name: "no-limit",
    what: "runs are claimed however many of their pipeline are under way",
    source: {
      "packages/core/src/defaults/memory/ownership.ts": [
        ["const hasRoom = (this.#active.get(pipeline) ?? 0) < max;", "const hasRoom = max > 0;"],
      ],
    },
  },
  {
    name: "late-flush-counts",
    what: "a flush that comes after a later one is written over it",
    source: {
      "packages/core/src/defaults/memory/memory-storage.ts": [
        [
          "if (engine === undefined || flush.number < (engine.lastFlush?.number ?? 0)) {",
          "if (engine === undefined) {",
        ],
      ],
    },
  },
  {
    name: "moved-twice",
    what: "a run is carried over once more when the same is asked for late",
    source: {
      "packages/core/src/defaults/memory/run-writer.ts": [
        ['    if (run.record.definition === definition) return "moved";\n', ""],
      ],
    },
  },
];

const MAX_SEEDS = 2_000;

/**
 * Plays worlds until the mutation is found out: something is wrong in a world that is well without it.
 *
 * @param simulator - A bundle with the mutation in it.
 * @param clean - A bundle without.
 * @returns After how many seeds and by what; `undefined`: not within `maxSeeds`.
 */
export async function findMutation(simulator, clean, { name }, maxSeeds = MAX_SEEDS) {
  const mutations = simulator.MUTATED_STORAGES[name];
  for (let seed = 1; seed <= maxSeeds; seed++) {
    const { problems } = await simulator.simulate(seed, mutations === undefined ? {} : { mutations });
    if (problems.length === 0) continue;
    const without = new Set((await clean.simulate(seed)).problems.map(({ rule }) => rule));
    const problem = problems.find(({ rule }) => !without.has(rule));
    if (problem !== undefined) return { seed, problem };
  }
  return undefined;
}
