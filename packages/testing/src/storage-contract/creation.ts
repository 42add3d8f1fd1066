import assert from "node:assert/strict";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { idsOf, type StorageFixture } from "./fixture.js";
import { asCreated, changes, ended, newRun, ODD_TEXTS, START } from "./records.js";

export const creation: ContractTopic<StorageFixture> = {
  name: "creation",
  cases: [
    {
      name: "createRuns() answers with the whole record, queued and without owner under epoch 0",
      async check({ storage }) {
        const run = newRun("run-1", {
          key: "2026-01-01",
          tags: ["eu", "daily"],
          priority: -3,
          parent: { runId: "run-0", task: "start", index: [2, 10] },
          schedule: "nightly",
          instant: START - 1_000,
          availableAt: START + 5_000,
        });
        assertEqual(await storage.createRuns([run]), [{ kind: "created", run: asCreated(run) }]);
        assertEqual(await storage.getRun("run-1"), asCreated(run));
      },
    },
    {
      name: "createRuns() with an owner makes the run that engine's from the start, under epoch 1",
      async check(fixture) {
        await fixture.register("engine-1", "engine-2");
        const run = newRun("run-1", { owner: "engine-1" });
        assertEqual(await fixture.storage.createRuns([run]), [{ kind: "created", run: asCreated(run) }]);
        assertEqual(await fixture.claim("engine-2"), []);
        await fixture.write("run-1", { run: ended("succeeded") });
        assert.equal((await fixture.run("run-1")).status, "succeeded");
      },
    },
    {
      name: "createRuns() keeps every property of every text as it is",
      async check({ storage }) {
        const texts = ODD_TEXTS.filter((text) => text !== ""); // no key and no tag is empty
        const runs = texts.map((text, place) =>
          newRun(`run-${place}`, { key: text, fingerprint: text, tags: [text], params: `j1:${JSON.stringify(text)}` }),
        );
        const expected = runs.map((run) => ({ kind: "created", run: asCreated(run) }));
        assertEqual(await storage.createRuns(runs), expected);
        for (const run of runs) assertEqual(await storage.getRun(run.id), asCreated(run));
      },
    },
    {
      name: "createRuns() gives the existing run for a used key with the same fingerprint",
      async check(fixture) {
        await fixture.register("engine-1");
        await fixture.storage.createRuns([newRun("run-1", { key: "k", owner: "engine-1" })]);
        await fixture.write("run-1", { run: ended("succeeded") });
        const [answer] = await fixture.storage.createRuns([newRun("run-2", { key: "k" })]);
        assertEqual(answer, { kind: "existing", run: await fixture.run("run-1") });
        assert.equal(await fixture.storage.getRun("run-2"), undefined);
      },
    },
    {
      name: "createRuns() answers a used key with another fingerprint with a conflict, and changes nothing",
      async check(fixture) {
        await fixture.storage.createRuns([newRun("run-1", { key: "k" })]);
        const before = await fixture.run("run-1");
        const [answer] = await fixture.storage.createRuns([newRun("run-2", { key: "k", fingerprint: "other" })]);
        assertEqual(answer, { kind: "conflict", runId: "run-1" });
        assert.equal(await fixture.storage.getRun("run-2"), undefined);
        assertEqual(await fixture.run("run-1"), before);
      },
    },
    {
      name: "createRuns() keeps the keys of each pipeline apart",
      async check({ storage }) {
        const answers = await storage.createRuns([
          newRun("run-1", { pipeline: "a", key: "k" }),
          newRun("run-2", { pipeline: "b", key: "k" }),
          newRun("run-3", { pipeline: "a", key: "k2" }),
        ]);
        assertEqual(
          answers.map(({ kind }) => kind),
          ["created", "created", "created"],
        );
      },
    },
    {
      name: "createRuns() makes a run of its own for each request without a key",
      async check(fixture) {
        await fixture.create("run-1", "run-2");
        assert.equal((await fixture.all("runs", {})).length, 2);
      },
    },
    {
      name: "createRuns() treats each run on its own and answers in the same order",
      async check({ storage }) {
        await storage.createRuns([newRun("old", { key: "old" })]);
        const answers = await storage.createRuns([
          newRun("run-1"),
          newRun("run-2", { key: "old", fingerprint: "other" }),
          newRun("run-3", { key: "new" }),
          newRun("run-4", { key: "old" }),
          newRun("run-5", { key: "new" }),
          newRun("run-6"),
          newRun("run-1"),
        ]);
        assertEqual(
          answers.map((answer) => [answer.kind, answer.kind === "conflict" ? answer.runId : answer.run.id]),
          [
            ["created", "run-1"],
            ["conflict", "old"],
            ["created", "run-3"],
            ["existing", "old"],
            ["existing", "run-3"],
            ["created", "run-6"],
            ["existing", "run-1"],
          ],
        );
      },
    },
    {
      name: "createRuns() makes one run of a key however many ask for it at once",
      async check(fixture) {
        const calls = Array.from({ length: 8 }, (_, n) =>
          fixture.storage.createRuns([newRun(`run-${n}`, { key: "k" })]),
        );
        const answers = (await Promise.all(calls)).flat();
        const created = answers.filter(({ kind }) => kind === "created");
        assert.equal(created.length, 1, `${created.length} calls created a run`);
        const runs = await fixture.all("runs", {});
        assert.equal(runs.length, 1);
        const ids = answers.map((answer) => (answer.kind === "conflict" ? "conflict" : answer.run.id));
        assertEqual([...new Set(ids)], idsOf(runs));
      },
    },
    {
      name: "createRuns() gives the existing run for a known id, whatever its key and fingerprint",
      async check(fixture) {
        await fixture.register("engine-1");
        await fixture.storage.createRuns([
          newRun("run-1", { key: "k", owner: "engine-1" }),
          newRun("run-2", { key: "taken" }),
        ]);
        await fixture.write("run-1", { run: ended("failed") });
        const existing = await fixture.run("run-1");
        const again = [
          newRun("run-1", { key: "k", fingerprint: "other" }),
          newRun("run-1", { key: "taken", fingerprint: "other" }),
          newRun("run-1", { key: "free", priority: 9, owner: "engine-1" }),
          newRun("run-1", { pipeline: "other", params: "j1:2" }),
        ];
        assertEqual(
          await fixture.storage.createRuns(again),
          again.map(() => ({ kind: "existing", run: existing })),
        );
        assertEqual(await fixture.run("run-1"), existing);
        const [answer] = await fixture.storage.createRuns([newRun("run-3", { key: "free", fingerprint: "other" })]);
        assert.equal(answer?.kind, "created", "a run that was not made has taken a key");
      },
    },
    {
      name: "createRuns() makes one run of an id however many ask for it at once",
      async check(fixture) {
        const calls = Array.from({ length: 8 }, (_, n) =>
          fixture.storage.createRuns([newRun("run-1", { fingerprint: `${n}` })]),
        );
        const answers = (await Promise.all(calls)).flat();
        const created = answers.filter(({ kind }) => kind === "created");
        assert.equal(created.length, 1, `${created.length} calls created the run`);
        assert.equal(answers.filter(({ kind }) => kind === "existing").length, 7);
        assert.equal((await fixture.all("runs", {})).length, 1);
      },
    },
    {
      name: "a key stays taken while its run is kept, whatever became of the run",
      async check(fixture) {
        await fixture.register("engine-1");
        await fixture.storage.createRuns([newRun("run-1", { key: "k", owner: "engine-1" })]);
        await fixture.commit("engine-1", changes("run-1", 1, { run: ended("failed") }));
        const [answer] = await fixture.storage.createRuns([newRun("run-2", { key: "k", fingerprint: "other" })]);
        assertEqual(answer, { kind: "conflict", runId: "run-1" });
      },
    },
  ],
};
