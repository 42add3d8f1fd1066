import type { CacheEntry, DefinitionRecord, StorageContext } from "weftline";
import { commits, type Fault, pause } from "./fault.js";

/** Stores that go wrong about what outlives runs: the cache and definitions. */
export const OUTLIVING_FAULTS: readonly Fault[] = [
  [
    "looks keys of the cache up without regard to case",
    (inner) => ({
      ...commits((changes) => ({
        ...changes,
        cached: changes.cached.map((entry) => ({ ...entry, key: entry.key.toLowerCase() })),
      }))(inner),
      getCached: (key, now) => inner.getCached(key.toLowerCase(), now),
    }),
    "getCached() gives the entry that a commit kept, and nothing under keys without one",
  ],
  [
    "brings keys of the cache into one normal form",
    (inner) => ({
      ...commits((changes) => ({
        ...changes,
        cached: changes.cached.map((entry) => ({ ...entry, key: entry.key.normalize() })),
      }))(inner),
      getCached: (key, now) => inner.getCached(key.normalize(), now),
    }),
    "getCached() tells keys of every text apart",
  ],
  [
    "gives entries that have expired",
    (inner) => ({ getCached: (key) => inner.getCached(key, 0) }),
    "getCached() gives no entry from the moment on at which it expires, by the caller's clock",
  ],
  [
    "gives an entry in the moment at which it expires",
    (inner) => ({ getCached: (key, now) => inner.getCached(key, now - 1) }),
    "getCached() gives no entry from the moment on at which it expires, by the caller's clock",
  ],
  [
    "judges by its own clock whether an entry has expired",
    (inner) => {
      let context: StorageContext | undefined;
      return {
        open(opened) {
          context = opened;
          return inner.open(opened);
        },
        getCached: (key) => inner.getCached(key, context!.now()),
      };
    },
    "getCached() gives no entry from the moment on at which it expires, by the caller's clock",
  ],
  [
    "keeps the first entry under a key",
    (inner) => {
      const seen = new Set<string>();
      const isNew = (key: string) => seen.size < seen.add(key).size;
      return commits((changes) => ({ ...changes, cached: changes.cached.filter(({ key }) => isNew(key)) }))(inner);
    },
    "commit() replaces the entry under a key, whichever run kept it and however long it holds",
  ],
  [
    "keeps of two entries the one that holds longer",
    (inner) => {
      const longest = new Map<string, CacheEntry>();
      const longer = (entry: CacheEntry) => {
        const known = longest.get(entry.key);
        if (known === undefined || entry.expiresAt >= known.expiresAt) longest.set(entry.key, entry);
        return longest.get(entry.key)!;
      };
      return commits((changes) => ({ ...changes, cached: changes.cached.map(longer) }))(inner);
    },
    "commit() replaces the entry under a key, whichever run kept it and however long it holds",
  ],
  [
    "deletes what a run has cached together with the run",
    (inner) => ({
      async getCached(key, now) {
        const entry = await inner.getCached(key, now);
        return entry && (await inner.getRun(entry.runId)) && entry;
      },
    }),
    "cache entries outlive the run that made them",
  ],
  [
    "trims graphs",
    (inner) => ({
      putDefinitions: (definitions) =>
        inner.putDefinitions(definitions.map((definition) => ({ ...definition, graph: definition.graph.trim() }))),
    }),
    "getDefinition() gives a definition as it was put, and nothing for an unknown hash",
  ],
  [
    "replaces a definition that is known",
    () => {
      const last = new Map<string, DefinitionRecord>();
      return {
        async putDefinitions(definitions) {
          for (const definition of definitions) last.set(definition.hash, definition);
        },
        getDefinition: async (hash) => last.get(hash),
      };
    },
    "putDefinitions() keeps a definition that is known, and adds the others",
  ],
  [
    "adds no definition when one of them is known",
    (inner) => ({
      async putDefinitions(definitions) {
        const known = await Promise.all(definitions.map(({ hash }) => inner.getDefinition(hash)));
        if (known.every((definition) => definition === undefined)) await inner.putDefinitions(definitions);
      },
    }),
    "putDefinitions() keeps a definition that is known, and adds the others",
  ],
  [
    "reads every graph before it looks which it knows",
    (inner) => ({
      putDefinitions: async (definitions) => inner.putDefinitions(definitions.map((definition) => ({ ...definition }))),
    }),
    "putDefinitions() does not read the graph of a definition that is known",
  ],
  [
    "fails when somebody else has put the same definition meanwhile",
    (inner) => {
      const adding = new Set<string>();
      return {
        async putDefinitions(definitions) {
          for (const { hash } of definitions) {
            if (adding.has(hash)) throw new Error(`duplicate key "${hash}"`);
            adding.add(hash);
          }
          await pause();
          await inner.putDefinitions(definitions);
          adding.clear();
        },
      };
    },
    "putDefinitions() of the same hash by many at once keeps one of them",
  ],
  [
    "deletes a definition together with its last run",
    (inner) => {
      let isDeleted = false;
      return {
        deleteRun(runId) {
          isDeleted = true;
          return inner.deleteRun(runId);
        },
        getDefinition: async (hash) => (isDeleted ? undefined : inner.getDefinition(hash)),
      };
    },
    "definitions outlive the runs that were made with them",
  ],
];
