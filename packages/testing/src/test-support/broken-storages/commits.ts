import type { Storage } from "weftline";
import { asJson, commits, type Fault } from "./fault.js";

/** Stores that go wrong about commits and the values in them. */
export const COMMIT_FAULTS: readonly Fault[] = [
  [
    "writes a flush again that it has seen",
    (inner) => {
      let sent = 0;
      return { commit: (flush) => inner.commit({ ...flush, id: `${flush.id}-${++sent}` }) };
    },
    "commit() of a flush id seen before changes nothing and answers ok again",
  ],
  [
    "remembers the last flush alone, and takes one from before for new",
    (inner) => {
      let last = 0;
      return {
        commit(flush) {
          if (flush.number >= last) last = flush.number;
          return inner.commit({ ...flush, number: last });
        },
      };
    },
    "commit() carried out after later ones changes nothing, however many there were",
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
    "keeps what a fenced run wanted to cache",
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
    "commit() leaves a run alone whose epoch is no longer the given one, and writes the others",
  ],
  [
    "keeps of a wait only its kind",
    commits((changes) => ({
      ...changes,
      tasks: changes.tasks.map((task) => ({ ...task, wait: task.wait && { ...task.wait, until: 0, probes: 0 } })),
    })),
    "what a task waits for and where its output came from come back as they were",
  ],
];
