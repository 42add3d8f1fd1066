import assert from "node:assert/strict";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import type { StorageFixture } from "./fixture.js";
import { cacheEntry, ended, ODD_TEXTS, START } from "./records.js";

export const cache: ContractTopic<StorageFixture> = {
  name: "cache",
  cases: [
    {
      name: "getCached() gives the entry that a commit kept, and nothing under keys without one",
      async check(fixture) {
        await fixture.owned("run-1");
        const entry = cacheEntry("key", { output: "d1:[[1]]" });
        await fixture.write("run-1", { cached: [entry] });
        assertEqual(await fixture.storage.getCached("key", START), entry);
        for (const key of ["", "ke", "KEY", "key "]) {
          assert.equal(await fixture.storage.getCached(key, START), undefined, JSON.stringify(key));
        }
      },
    },
    {
      name: "getCached() gives no entry from the moment on at which it expires, by the caller's clock",
      async check(fixture) {
        await fixture.owned("run-1");
        const expiresAt = START + 365 * 86_400_000;
        const entry = cacheEntry("key", { expiresAt });
        await fixture.write("run-1", { cached: [entry] });
        assertEqual(await fixture.storage.getCached("key", expiresAt - 1), entry);
        assert.equal(await fixture.storage.getCached("key", expiresAt), undefined);
        assert.equal(await fixture.storage.getCached("key", expiresAt + 1), undefined);
      },
    },
    {
      name: "commit() replaces the entry under a key, whichever run kept it and however long it holds",
      async check(fixture) {
        await fixture.owned("run-1", "run-2");
        const kept = cacheEntry("other");
        await fixture.write("run-1", { cached: [cacheEntry("key"), kept] });
        const second = cacheEntry("key", { output: "j1:2", runId: "run-2", expiresAt: START + 1 });
        await fixture.write("run-2", { cached: [second] });
        assertEqual(await fixture.storage.getCached("key", START), second);
        assert.equal(
          await fixture.storage.getCached("key", START + 1),
          undefined,
          "the entry that was replaced is back",
        );
        const last = cacheEntry("key", { output: "j1:4" });
        await fixture.write("run-1", { cached: [cacheEntry("key", { output: "j1:3" }), last] });
        assertEqual(await fixture.storage.getCached("key", START + 2), last);
        assertEqual(await fixture.storage.getCached("other", START), kept);
      },
    },
    {
      name: "getCached() tells keys of every text apart",
      async check(fixture) {
        await fixture.owned("run-1");
        const texts = ["k", "K", "k ", " k", "k\n", "ḱ", "k\u0301", ...ODD_TEXTS.slice(1)]; // no key is empty
        const entries = texts.map((text) => cacheEntry(text, { output: `d1:${text}` }));
        await fixture.write("run-1", { cached: entries });
        for (const entry of entries) assertEqual(await fixture.storage.getCached(entry.key, START), entry);
      },
    },
    {
      name: "cache entries outlive the run that made them",
      async check(fixture) {
        await fixture.owned("run-1", "run-2");
        const entries = [cacheEntry("one"), cacheEntry("two", { runId: "run-2" })];
        await fixture.write("run-1", { run: ended("succeeded"), cached: entries.slice(0, 1) });
        await fixture.write("run-2", { run: ended("succeeded"), cached: entries.slice(1) });
        await fixture.storage.deleteRun("run-1");
        await fixture.storage.prune({ before: START + 1_000, limit: 10 });
        for (const entry of entries) assertEqual(await fixture.storage.getCached(entry.key, START), entry);
      },
    },
  ],
};
