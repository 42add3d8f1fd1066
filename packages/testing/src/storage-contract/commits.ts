import assert from "node:assert/strict";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { expectHistory, type StorageFixture } from "./fixture.js";
import {
  artifactRecord,
  assetRecord,
  attemptRecord,
  cacheEntry,
  cancelMessage,
  changes,
  ended,
  flush,
  logRecord,
  metricRecord,
  oneOfEach,
  runState,
  START,
  stepRecord,
  taskRecord,
} from "./records.js";

export const commits: ContractTopic<StorageFixture> = {
  name: "commits",
  cases: [
    {
      name: "commit() writes everything a flush holds",
      async check(fixture) {
        await fixture.owned("run-1");
        const run = runState("running", { deadlineAt: START + 60_000 });
        const details = {
          run,
          tasks: [taskRecord("run-1", 0), taskRecord("run-1", 1, { status: "retrying", retryAt: START + 50 })],
          attempts: [attemptRecord("run-1", 0, 1)],
          logs: [logRecord("run-1", "hello", { data: "j1:[1]" })],
          metrics: [metricRecord("run-1", "rows", 12.5)],
          artifacts: [artifactRecord("run-1", "report", Buffer.from("text"))],
          steps: [stepRecord("run-1", "load")],
          assets: [assetRecord("run-1", "rows")],
          cached: [cacheEntry("key")],
        };
        await fixture.write("run-1", details);
        const stored = await fixture.run("run-1");
        assertEqual({ ...stored, ...run }, stored);
        assertEqual(await fixture.all("tasks", { runId: "run-1" }), details.tasks);
        assertEqual(await fixture.all("attempts", { runId: "run-1" }), details.attempts);
        assertEqual(await fixture.all("logs", { runId: "run-1" }), details.logs);
        assertEqual(await fixture.all("metrics", { runId: "run-1" }), details.metrics);
        assertEqual(await fixture.all("steps", { runId: "run-1" }), details.steps);
        assertEqual(await fixture.all("assets", { runId: "run-1" }), details.assets);
        assertEqual(await fixture.storage.getCached("key", START), details.cached[0]);
        const { data: _, ...info } = details.artifacts[0]!;
        assertEqual(await fixture.all("artifacts", { runId: "run-1" }), [info]);
      },
    },
    {
      name: "commit() without a run state leaves the run as it is",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.write("run-1", { run: runState("waiting") });
        const before = await fixture.run("run-1");
        await fixture.write("run-1", { tasks: [taskRecord("run-1", 0)] });
        assertEqual(await fixture.run("run-1"), before);
      },
    },
    {
      name: "commit() replaces task and attempt records under their identity, and adds the rest",
      async check(fixture) {
        await fixture.owned("run-1");
        const running = { status: "running", finishedAt: undefined, output: undefined } as const;
        await fixture.write("run-1", {
          tasks: [
            taskRecord("run-1", 0, running),
            taskRecord("run-1", 1, { items: 2 }),
            taskRecord("run-1", 1, { index: [0], ...running }),
            taskRecord("run-1", 1, { index: [1], ...running }),
          ],
          attempts: [attemptRecord("run-1", 0, 1, { status: "running", finishedAt: undefined })],
          logs: [logRecord("run-1", "same")],
        });
        const error = { name: "Error", message: "boom", code: "E_BOOM" };
        const replacing = {
          tasks: [
            taskRecord("run-1", 0, { status: "failed", attempts: 2, output: undefined, error, reason: "why" }),
            taskRecord("run-1", 1, { index: [1], output: "j1:11" }),
          ],
          attempts: [attemptRecord("run-1", 0, 1, { status: "failed", error }), attemptRecord("run-1", 0, 2)],
        };
        await fixture.write("run-1", { ...replacing, logs: [logRecord("run-1", "same")] });
        assertEqual(await fixture.all("tasks", { runId: "run-1" }), [
          replacing.tasks[0],
          taskRecord("run-1", 1, { items: 2 }),
          taskRecord("run-1", 1, { index: [0], ...running }),
          replacing.tasks[1],
        ]);
        assertEqual(await fixture.all("attempts", { runId: "run-1" }), replacing.attempts);
        assert.equal((await fixture.all("logs", { runId: "run-1" })).length, 2);
      },
    },
    {
      name: "commit() writes the changes of many runs",
      async check(fixture) {
        const ids = Array.from({ length: 50 }, (_, n) => `run-${n}`);
        await fixture.owned(...ids);
        await fixture.commit(
          "engine-1",
          ...ids.map((id, n) =>
            changes(id, 1, { run: runState("running"), tasks: [taskRecord(id, 0, { output: `j1:${n}` })] }),
          ),
        );
        for (const [n, id] of ids.entries()) {
          assert.equal((await fixture.run(id)).status, "running");
          assert.equal((await fixture.all("tasks", { runId: id }))[0]?.output, `j1:${n}`);
        }
      },
    },
    {
      name: "commit() writes 10,000 tasks in one flush",
      async check(fixture) {
        await fixture.owned("run-1");
        const tasks = Array.from({ length: 10_000 }, (_, n) => taskRecord("run-1", n));
        const attempts = tasks.map(({ position }) => attemptRecord("run-1", position, 1));
        await fixture.write("run-1", { run: ended("succeeded"), tasks, attempts });
        assertEqual(await fixture.all("tasks", { runId: "run-1" }), tasks);
        assert.equal((await fixture.all("attempts", { runId: "run-1" })).length, 10_000);
      },
    },
    {
      name: "commit() with a final status releases the run",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.write("run-1", { run: ended("succeeded", START + 70) });
        const { owner, status, finishedAt, epoch } = await fixture.run("run-1");
        assertEqual([owner, status, finishedAt, epoch], [undefined, "succeeded", START + 70, 1]);
        await fixture.storage.releaseLease("engine-1");
        await fixture.register("engine-2");
        assertEqual(await fixture.claim("engine-2"), []);
      },
    },
    {
      name: "commit() of a flush id seen before changes nothing and answers ok again",
      async check(fixture) {
        await fixture.owned("run-1");
        const first = flush(
          "flush-x",
          "engine-1",
          changes("run-1", 1, {
            run: runState("running"),
            tasks: [taskRecord("run-1", 0)],
            logs: [logRecord("run-1", "once")],
            metrics: [metricRecord("run-1", "rows", 1)],
            artifacts: [artifactRecord("run-1", "report", Buffer.from("1"))],
            assets: [assetRecord("run-1", "rows")],
          }),
        );
        for (const _ of ["first", "again", "and again"]) {
          assertEqual(await fixture.storage.commit(first), { kind: "ok", fenced: [] });
        }
        assert.equal((await fixture.all("logs", { runId: "run-1" })).length, 1);
        assert.equal((await fixture.all("metrics", { runId: "run-1" })).length, 1);
        assert.equal((await fixture.all("artifacts", { runId: "run-1" })).length, 1);
        assert.equal((await fixture.all("assets", { runId: "run-1" })).length, 1);
      },
    },
    {
      name: "commit() sent again at once by a caller that gave up waiting is applied once",
      async check(fixture) {
        await fixture.owned("run-1");
        const same = flush("flush-x", "engine-1", changes("run-1", 1, { logs: [logRecord("run-1", "once")] }));
        const outcomes = await Promise.all([fixture.storage.commit(same), fixture.storage.commit(same)]);
        for (const outcome of outcomes) assertEqual(outcome, { kind: "ok", fenced: [] });
        assert.equal((await fixture.all("logs", { runId: "run-1" })).length, 1);
      },
    },
    {
      name: "commit() carried out after later ones changes nothing, however many there were",
      async check(fixture) {
        await fixture.owned("run-1");
        const early = [1, 2].map((attempts) =>
          flush(`early${attempts}`, "engine-1", changes("run-1", 1, { tasks: [taskRecord("run-1", 0, { attempts })] })),
        );
        for (const sent of early) await fixture.storage.commit(sent);
        for (let n = 0; n < 100; n++) await fixture.write("run-1", { tasks: [taskRecord("run-1", 1)] });
        for (const late of early) {
          assertEqual((await fixture.storage.commit(late)).kind, "ok");
          assert.equal((await fixture.all("tasks", { runId: "run-1", task: "task-0" }))[0]!.attempts, 2);
        }
        await fixture.write("run-1", { tasks: [taskRecord("run-1", 0, { attempts: 3 })] });
        assert.equal((await fixture.all("tasks", { runId: "run-1", task: "task-0" }))[0]!.attempts, 3);
      },
    },
    {
      name: "commit() sent again does not fence the run that it ended",
      async check(fixture) {
        await fixture.owned("run-1");
        const last = flush("last", "engine-1", changes("run-1", 1, { run: ended("succeeded") }));
        assertEqual(await fixture.storage.commit(last), { kind: "ok", fenced: [] });
        assertEqual(await fixture.storage.commit(last), { kind: "ok", fenced: [] });
      },
    },
    {
      name: "commit() sent again names the fenced runs again",
      async check(fixture) {
        await fixture.owned("run-1", "run-2");
        const mixed = flush(
          "mixed",
          "engine-1",
          changes("run-1", 0),
          changes("run-2", 1, { run: runState("running") }),
        );
        const first = await fixture.storage.commit(mixed);
        assertEqual(first, { kind: "ok", fenced: ["run-1"] });
        assertEqual(await fixture.storage.commit(mixed), first);
      },
    },
    {
      name: "commit() takes each engine's flush ids for its own",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.register("engine-2");
        await fixture.create("run-2");
        await fixture.claim("engine-2");
        const write = (engineId: string, runId: string) =>
          fixture.storage.commit(
            flush("same-id", engineId, changes(runId, 1, { logs: [logRecord(runId, "written")] })),
          );
        await write("engine-1", "run-1");
        await write("engine-2", "run-2");
        assert.equal((await fixture.all("logs", { runId: "run-2" })).length, 1);
      },
    },
    {
      name: "commit() leaves a run alone whose epoch is no longer the given one, and writes the others",
      async check(fixture) {
        await fixture.owned("before", "stale", "after");
        await fixture.storage.send([cancelMessage("message-1", "stale")]);
        const before = await fixture.run("stale");
        const everything = {
          ...oneOfEach("stale"),
          run: ended("failed"),
          cached: [cacheEntry("key", { runId: "stale" })],
          consumed: ["message-1"],
        };
        const outcome = await fixture.storage.commit(
          flush(
            "mixed",
            "engine-1",
            changes("before", 1, { tasks: [taskRecord("before", 0)] }),
            changes("stale", 0, everything),
            changes("after", 1, { tasks: [taskRecord("after", 0)] }),
          ),
        );
        assertEqual(outcome, { kind: "ok", fenced: ["stale"] });
        assertEqual(await fixture.run("stale"), before);
        await expectHistory(fixture, "stale", 0);
        assert.equal(await fixture.storage.getCached("key", START), undefined);
        assertEqual(await fixture.messageIds("engine-1"), ["message-1"]);
        assert.equal((await fixture.all("tasks", { runId: "before" })).length, 1);
        assert.equal((await fixture.all("tasks", { runId: "after" })).length, 1);
      },
    },
    {
      name: "commit() fences a run that does not exist",
      async check(fixture) {
        await fixture.register("engine-1");
        const outcome = await fixture.storage.commit(
          flush("lost", "engine-1", changes("no-such-run", 1, { tasks: [taskRecord("no-such-run", 0)] })),
        );
        assertEqual(outcome, { kind: "ok", fenced: ["no-such-run"] });
        assertEqual(await fixture.all("tasks", { runId: "no-such-run" }), []);
      },
    },
    {
      name: "commit() is seen as a whole or not at all",
      async check(fixture) {
        const ids = ["run-1", "run-2", "run-3"];
        await fixture.owned(...ids);
        const tasks = (id: string) => Array.from({ length: 200 }, (_, n) => taskRecord(id, n));
        let isWriting = true;
        const writing = fixture
          .commit("engine-1", ...ids.map((id) => changes(id, 1, { run: ended("succeeded"), tasks: tasks(id) })))
          .finally(() => {
            isWriting = false;
          });
        try {
          do {
            await new Promise((resolve) => setImmediate(resolve)); // or a store in memory would not let the flush on
            if ((await fixture.run("run-1")).status !== "succeeded") continue;
            // What one read has seen, every read after it has to see.
            for (const id of ids) {
              assert.equal(
                (await fixture.run(id)).status,
                "succeeded",
                "one run of a flush was written before another",
              );
              assert.equal(
                (await fixture.all("tasks", { runId: id })).length,
                200,
                "a run was written before its tasks",
              );
            }
          } while (isWriting);
        } finally {
          await writing;
        }
      },
    },
    {
      name: "commit() of several engines at once writes each one's runs",
      async check(fixture) {
        const engines = Array.from({ length: 5 }, (_, n) => `engine-${n}`);
        await fixture.register(...engines);
        for (const id of engines) {
          await fixture.create(`run-of-${id}`);
          await fixture.claim(id);
        }
        const rounds = Array.from({ length: 10 }, (_, n) => n);
        await Promise.all(
          engines.map(async (id) => {
            for (const round of rounds) {
              const details = {
                tasks: [taskRecord(`run-of-${id}`, round)],
                logs: [logRecord(`run-of-${id}`, `${round}`)],
              };
              await fixture.commit(id, changes(`run-of-${id}`, 1, details));
            }
          }),
        );
        for (const id of engines) {
          const logs = await fixture.all("logs", { runId: `run-of-${id}` });
          assertEqual(
            logs.map(({ message }) => message),
            rounds.map(String),
          );
        }
      },
    },
  ],
};
