import { type Flush, type Page, type RunChanges, type Storage, WeftlineError } from "weftline";

/** What a broken store does instead of `inner`. */
export type Overrides = (inner: Storage) => Partial<Storage>;

/** Commits something else than it was given. */
function commits(change: (changes: RunChanges, flush: Flush) => RunChanges): Overrides {
  return (inner) => ({
    commit: (flush) => inner.commit({ ...flush, runs: flush.runs.map((changes) => change(changes, flush)) }),
  });
}

/** Lists something else than it has. */
function lists(change: (page: Page<object>, kind: string) => Page<object>): Overrides {
  return (inner) => ({
    list: (async (kind, query, page) => change(await inner.list(kind, query, page), kind)) as Storage["list"],
  });
}

const asJson = <Value>(value: Value): Value => JSON.parse(JSON.stringify(value)) as Value;

/** Adapters with one fault each, and the case that finds it. */
export const BROKEN_STORAGES: readonly (readonly [fault: string, overrides: Overrides, caughtBy: string])[] = [
  [
    "claims to notify and never hints",
    () => ({ listen: async () => async () => {} }),
    "notify: hints come when runs are created, end or get messages, and when schedules change",
  ],
  [
    "hints and says that it does not",
    (inner) => ({ supports: { ...inner.supports, notify: false } }),
    "notify: listen() is there exactly when supports.notify is true",
  ],
  [
    "claims to notify without listen()",
    () => ({ listen: undefined as never }),
    "notify: listen() is there exactly when supports.notify is true",
  ],
  [
    "goes on hinting after the subscription ended",
    (inner) => ({
      async listen(onHint) {
        await inner.listen!(onHint);
        return async () => {};
      },
    }),
    "notify: no hint comes after the subscription was ended",
  ],
  [
    "claims to be durable and is not",
    (inner) => ({ supports: { ...inner.supports, durable: true } }),
    "durable: what was confirmed is there after close() and opening the same place again",
  ],
  [
    "claims to serve many processes and does not",
    (inner) => ({ supports: { ...inner.supports, manyProcesses: true } }),
    "manyProcesses: a second store on the same data sees every change, and shares claims and leases",
  ],
  [
    "claims to join transactions and does not say how",
    (inner) => ({ supports: { ...inner.supports, hostTransactions: true } }),
    "hostTransactions: createRuns() joins the host's transaction, and is undone with it",
  ],
  [
    "leaves out a capability",
    (inner) => ({ supports: { ...inner.supports, durable: undefined as never } }),
    "supports says yes or no to each capability, and says the same after open()",
  ],
  [
    "works on after close()",
    () => ({ close: async () => {} }),
    "close() makes every later call reject with STORAGE_CLOSED",
  ],
  [
    "rejects after close() with an error of its own",
    (inner) => ({ getRun: (id) => inner.getRun(id).catch(() => Promise.reject(new Error("connection ended"))) }),
    "close() makes every later call reject with STORAGE_CLOSED",
  ],
  [
    "fails when it is closed twice",
    (inner) => {
      let isClosed = false;
      return {
        close() {
          if (isClosed) return Promise.reject(new Error("closed already"));
          isClosed = true;
          return inner.close();
        },
      };
    },
    "close() called twice does nothing more",
  ],
  [
    "keeps an engine's lease after it was released",
    () => ({ releaseLease: async () => {} }),
    "releaseLease() gives every run of the engine back at once, as it is",
  ],
  [
    "never says that a lease was lost",
    (inner) => ({ renewLease: async (id, ms) => ({ ...(await inner.renewLease(id, ms)), lost: false }) }),
    "renewLease() says once that the lease had run out",
  ],
  [
    "makes every lease endless",
    (inner) => ({ renewLease: (id) => inner.renewLease(id, Number.POSITIVE_INFINITY) }),
    "claimRuns() takes over what an engine owned when its lease has run out, under the next epoch",
  ],
  [
    "judges leases by the engine's clock",
    (inner) => ({
      async claimRuns(request) {
        const runs = await inner.list("runs", {}, { limit: 1_000 });
        for (const { owner } of runs.items) {
          if (owner !== undefined && request.now > Date.UTC(2027, 0, 1)) await inner.releaseLease(owner);
        }
        return inner.claimRuns(request);
      },
    }),
    "claimRuns() judges leases by the store's clock, not by the engine's",
  ],
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
    "wakes nobody for a run that starts later",
    () => ({ nextWake: async () => undefined }),
    "nextWake() knows when the next run is to start",
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
    "writes a flush again that it has seen",
    (inner) => {
      let sent = 0;
      return { commit: (flush) => inner.commit({ ...flush, id: `${flush.id}-${++sent}` }) };
    },
    "commit() of a flush id seen before changes nothing and answers ok again",
  ],
  [
    "remembers a flush id only after it has written the flush",
    (inner) => {
      const seen = new Set<string>();
      let sent = 0;
      return {
        async commit(flush) {
          if (seen.has(flush.id)) return { kind: "ok", fenced: [] };
          await new Promise(setImmediate);
          const outcome = await inner.commit({ ...flush, id: `${flush.id}-${++sent}` });
          seen.add(flush.id);
          return outcome;
        },
      };
    },
    "commit() sent again at once by a caller that gave up waiting is applied once",
  ],
  [
    "forgets on the second sending which runs were fenced",
    (inner) => {
      const seen = new Set<string>();
      return {
        async commit(flush) {
          if (seen.has(flush.id)) return { kind: "ok", fenced: [] };
          seen.add(flush.id);
          return inner.commit(flush);
        },
      };
    },
    "commit() sent again names the fenced runs again",
  ],
  [
    "has one space of flush ids for all engines",
    (inner) => {
      const seen = new Set<string>();
      return {
        async commit(flush) {
          if (seen.has(flush.id)) return { kind: "ok", fenced: [] };
          seen.add(flush.id);
          return inner.commit(flush);
        },
      };
    },
    "commit() takes each engine's flush ids for its own",
  ],
  [
    "does not look at epochs",
    (inner) => ({
      async commit(flush) {
        const runs = await Promise.all(
          flush.runs.map(async (changes) => ({ ...changes, epoch: (await inner.getRun(changes.runId))?.epoch ?? 0 })),
        );
        return inner.commit({ ...flush, runs });
      },
    }),
    "commit() leaves a run alone whose epoch is no longer the given one, and writes the others",
  ],
  [
    "drops the whole flush for one fenced run",
    (inner) => ({
      async commit(flush) {
        const stored = await Promise.all(flush.runs.map(({ runId }) => inner.getRun(runId)));
        const stale = flush.runs.filter(({ epoch }, place) => stored[place]?.epoch !== epoch);
        if (stale.length === 0) return inner.commit(flush);
        return { kind: "ok", fenced: stale.map(({ runId }) => runId) };
      },
    }),
    "commit() leaves a run alone whose epoch is no longer the given one, and writes the others",
  ],
  [
    "writes the runs of a flush one after the other",
    (inner) => ({
      async commit(flush) {
        const fenced: string[] = [];
        for (const [place, changes] of flush.runs.entries()) {
          const outcome = await inner.commit({ ...flush, id: `${flush.id}/${place}`, runs: [changes] });
          if (outcome.kind === "ok") fenced.push(...outcome.fenced);
          await new Promise(setImmediate);
        }
        return { kind: "ok", fenced };
      },
    }),
    "commit() is seen as a whole or not at all",
  ],
  [
    "writes a run's state before its tasks",
    (inner) => ({
      async commit(flush) {
        const early = flush.runs.map((changes) => ({ ...changes, tasks: [], run: undefined }));
        await inner.commit({ ...flush, id: `${flush.id}/early`, runs: early });
        for (const changes of flush.runs) {
          await inner.commit({
            ...flush,
            id: `${flush.id}/${changes.runId}`,
            runs: [{ ...changes, logs: [], tasks: [] }],
          });
        }
        await new Promise(setImmediate);
        return { kind: "ok", fenced: [] };
      },
    }),
    "commit() is seen as a whole or not at all",
  ],
  [
    "adds task records instead of replacing them",
    commits((changes) => ({ ...changes, tasks: changes.tasks.filter(({ attempts }) => attempts < 2) })),
    "commit() replaces task and attempt records under their identity, and adds the rest",
  ],
  [
    "takes at most 1,000 rows in one statement",
    commits((changes) => ({ ...changes, tasks: changes.tasks.slice(0, 1_000) })),
    "commit() writes 10,000 tasks in one flush",
  ],
  [
    "keeps the owner of a run that has ended",
    (inner) => ({
      getRun: async (id) => {
        const run = await inner.getRun(id);
        return run && { ...run, owner: run.owner ?? "engine-1" };
      },
    }),
    "commit() with a final status releases the run",
  ],
  [
    "decodes values",
    commits((changes) => ({
      ...changes,
      tasks: changes.tasks.map((task) => ({
        ...task,
        output: task.output?.startsWith("j1:") ? `j1:${JSON.stringify(Number(task.output.slice(3)))}` : task.output,
      })),
    })),
    "an output of any format comes back unread and unchanged",
  ],
  [
    "trims texts",
    commits((changes) => ({ ...changes, logs: changes.logs.map((log) => ({ ...log, message: log.message.trim() })) })),
    "texts of every kind come back as they were",
  ],
  [
    "keeps numbers as JSON",
    (inner) => ({
      commit: (flush) =>
        inner.commit({ ...flush, runs: flush.runs.map((c) => ({ ...c, metrics: asJson(c.metrics) })) }),
    }),
    "metrics keep fractions, NaN and the infinities",
  ],
  [
    "keeps the bytes of an artifact as text",
    (inner) => ({
      async getArtifact(runId, name) {
        const artifact = await inner.getArtifact(runId, name);
        return artifact && { ...artifact, data: Buffer.from(Buffer.from(artifact.data).toString("utf8")) };
      },
    }),
    "getArtifact() gives back the bytes as they were",
  ],
  [
    "keeps the whole buffer that an artifact is a part of",
    (inner) => ({
      async getArtifact(runId, name) {
        const artifact = await inner.getArtifact(runId, name);
        return artifact && { ...artifact, data: new Uint8Array(artifact.data.buffer) };
      },
    }),
    "getArtifact() gives back the bytes as they were",
  ],
  [
    "cuts large values",
    commits((changes) => ({
      ...changes,
      tasks: changes.tasks.map((task) => ({ ...task, output: task.output?.slice(0, 65_536) })),
    })),
    "large values come back whole",
  ],
  [
    "keeps one level of causes",
    commits((changes) => ({
      ...changes,
      tasks: changes.tasks.map(({ error, ...task }) => {
        const { cause: _, ...rest } = error ?? { name: "", message: "" };
        return { ...task, error: error && rest };
      }),
    })),
    "error records keep their causes and collected errors",
  ],
  [
    "delivers messages once",
    (inner) => {
      const delivered = new Set<string>();
      return {
        async receive(engineId) {
          const fresh = (await inner.receive(engineId)).filter(({ id }) => !delivered.has(id));
          for (const { id } of fresh) delivered.add(id);
          return fresh;
        },
      };
    },
    "messages stay until a commit consumes them",
  ],
  [
    "never consumes messages",
    commits((changes) => ({ ...changes, consumed: [] })),
    "messages stay until a commit consumes them",
  ],
  [
    "keeps messages of a run that has ended",
    (inner) => {
      const sent: Parameters<Storage["send"]>[0][number][] = [];
      return {
        send(messages) {
          sent.push(...messages);
          return inner.send(messages);
        },
        receive: async () => sent,
      };
    },
    "a final status empties the inbox of its run",
  ],
  [
    "accepts messages for runs that have ended",
    (inner) => ({
      async send(messages) {
        const answers = await inner.send(messages);
        return answers.map((answer) =>
          answer.kind === "refused" && answer.code === "RUN_FINISHED" ? { kind: "sent" } : answer,
        );
      },
    }),
    "send() treats each message on its own and answers in the same order",
  ],
  [
    "keeps a resume in the inbox and does nothing about the run",
    (inner) => ({
      send: async (messages) =>
        messages.every(({ kind }) => kind === "resume") ? messages.map(() => ({ kind: "sent" })) : inner.send(messages),
    }),
    "send() of a resume puts a finished run that did not succeed back to queued, for anybody to claim",
  ],
  [
    "lists runs oldest first",
    lists((page, kind) => (kind === "runs" ? { ...page, items: [...page.items].reverse() } : page)),
    "list() of runs gives whole records, newest first",
  ],
  [
    "lists items by text",
    (inner) => ({
      list: (async (kind, query, page) => {
        const { items, next } = await inner.list(kind, query, page);
        const path = (record: object) => ("index" in record ? String(record.index) : "");
        return { items: kind === "tasks" ? [...items].sort((a, b) => (path(a) < path(b) ? -1 : 1)) : items, next };
      }) as Storage["list"],
    }),
    "items of maps are listed by number, not by text, with none lost between pages",
  ],
  [
    "goes on behind the first record of the next page",
    (inner) => ({
      list: (async (kind, query, page) => {
        const { items, next } = await inner.list(kind, query, page);
        return { items: page.cursor === undefined ? items : items.slice(1), next };
      }) as Storage["list"],
    }),
    "list() loses and repeats nothing, whatever the size of its pages",
  ],
  [
    "pages through runs by their moment of creation alone",
    (inner) => ({
      list: (async (kind, query, page) => {
        if (kind !== "runs") return inner.list(kind, query, page);
        const { items } = await inner.list("runs", query as object, { limit: 1_000 });
        const rest = items.filter(({ createdAt }) => page.cursor === undefined || createdAt < Number(page.cursor));
        const last = rest.length > page.limit ? rest[page.limit - 1] : undefined;
        return { items: rest.slice(0, page.limit), next: last && `${last.createdAt}` };
      }) as Storage["list"],
    }),
    "list() of runs created in the same millisecond loses and repeats none",
  ],
  [
    "pages by offset",
    (inner) => ({
      list: (async (kind, query, { limit, cursor = "0" }) => {
        const { items } = await inner.list(kind, query, { limit: 1_000 });
        const end = Number(cursor) + limit;
        return { items: items.slice(Number(cursor), end), next: end < items.length ? String(end) : undefined };
      }) as Storage["list"],
    }),
    "list() goes on from a cursor without loss or repetition while runs are created and change",
  ],
  [
    "gives a cursor with the last page",
    (inner) => ({
      list: (async (kind, query, page) => {
        const { items, next } = await inner.list(kind, query, page);
        return { items, next: next ?? (items.length === page.limit ? `${kind}:999999` : undefined) };
      }) as Storage["list"],
    }),
    "list() says on the last page that it is the last, also when that page is full",
  ],
  [
    "takes any cursor",
    (inner) => ({
      list: ((kind, query, page) =>
        inner.list(kind, query, page).catch(() => inner.list(kind, query, { limit: page.limit }))) as Storage["list"],
    }),
    "list() and loadRun() refuse a foreign cursor with CURSOR_INVALID",
  ],
  [
    "filters a page after it was cut",
    (inner) => ({
      list: (async (kind, query, page) => {
        const { runId } = query as { runId?: string };
        const whole = await inner.list(kind, (runId === undefined ? {} : { runId }) as never, page);
        const matching = await inner.list(kind, query, { limit: 1_000 });
        const shown = matching.items.map((item) => JSON.stringify(item));
        return { items: whole.items.filter((item) => shown.includes(JSON.stringify(item))), next: whole.next };
      }) as Storage["list"],
    }),
    "list() of runs matches every filter, alone and together",
  ],
  [
    "compares index paths by their beginning",
    (inner) => ({
      list: (async (kind, query, page) => {
        if (kind !== "logs" || !("index" in query)) return inner.list(kind, query, page);
        const { index, ...rest } = query as { runId: string; index: readonly number[] };
        const { items } = await inner.list("logs", rest, { limit: 1_000 });
        return { items: items.filter((log) => String(log.index).startsWith(String(index))), next: undefined };
      }) as Storage["list"],
    }),
    "list() of logs gives them in the order they were written, and matches every filter",
  ],
  [
    "lists artifacts with their bytes",
    lists((page, kind) =>
      kind === "artifacts"
        ? { ...page, items: page.items.map((item) => ({ ...item, data: new Uint8Array(0) })) }
        : page,
    ),
    "list() of metrics and artifacts matches every filter, and leaves out the bytes",
  ],
  [
    "moves a schedule and creates its run in two steps",
    (inner) => ({
      async fire(request) {
        const schedule = (await inner.schedules()).find(({ id }) => id === request.schedule);
        await new Promise(setImmediate);
        if (schedule?.nextAt !== request.expected) return "lost";
        await inner.fire({ ...request, run: undefined });
        if (request.run) await inner.createRuns([request.run]);
        return "fired";
      },
    }),
    "fire() gives one caller the instant however many ask for it at once",
  ],
  [
    "does not move schedules",
    (inner) => ({
      async fire({ run }) {
        if (run) await inner.createRuns([run]);
        return "fired";
      },
    }),
    "fire() moves the schedule and creates its run",
  ],
  [
    "puts every schedule back to its beginning",
    (inner) => ({
      putSchedules: async (schedules) => {
        await inner.putSchedules(schedules.map((schedule) => ({ ...schedule, spec: "" })));
        await inner.putSchedules(schedules);
      },
    }),
    "putSchedules() keeps a schedule whose spec is the same where it stands",
  ],
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
    "rejects an aborted call with an error of its own",
    (inner) => ({
      getRun: (id, options) =>
        options?.signal?.aborted ? Promise.reject(new WeftlineError("STORAGE_CLOSED", "aborted")) : inner.getRun(id),
    }),
    "a call whose signal has aborted settles, and rejects with nothing but the signal's reason",
  ],
];
