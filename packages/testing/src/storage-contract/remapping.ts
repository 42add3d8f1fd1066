import assert from "node:assert/strict";
import type { RemapRequest, RunChanges } from "weftline";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { expectHistory, idsOf, OF_RUN, type StorageFixture } from "./fixture.js";
import {
  artifactRecord,
  assetRecord,
  attemptRecord,
  cancelMessage,
  changes,
  claimRequest,
  ended,
  keyedSignal,
  logRecord,
  metricRecord,
  newRun,
  oneOfEach,
  runState,
  stepRecord,
  taskRecord,
  waitingRecord,
} from "./records.js";

function remap(runId: string, details: Partial<RemapRequest> = {}): RemapRequest {
  return { engineId: "engine-1", runId, epoch: 1, definition: "definition-2", tasks: [], ...details };
}

/** A record of each kind from one task or item of `run-1`, in two generations. */
function everyRecord(task: string, position: number, index: readonly number[] = []) {
  const place = { task, index };
  const generations = [1, 2];
  const name = [task, ...index].join(".");
  return {
    tasks: generations.map((generation) => taskRecord("run-1", position, { ...place, generation })),
    attempts: generations.map((generation) => attemptRecord("run-1", position, 3, { ...place, generation })),
    logs: [logRecord("run-1", name, place), logRecord("run-1", `${name} again`, { ...place, generation: 2 })],
    metrics: [metricRecord("run-1", name, position, place)],
    artifacts: [artifactRecord("run-1", name, Buffer.from(name), place)],
    steps: generations.map((generation) => stepRecord("run-1", name, { ...place, generation })),
    assets: [assetRecord("run-1", name, place)],
  } satisfies Partial<RunChanges>;
}
type Records = ReturnType<typeof everyRecord>;

function together(...parts: readonly Records[]): Records {
  const all = <Kind extends keyof Records>(kind: Kind) =>
    parts.flatMap((part) => part[kind] as object[]) as Records[Kind];
  return {
    tasks: all("tasks"),
    attempts: all("attempts"),
    logs: all("logs"),
    metrics: all("metrics"),
    artifacts: all("artifacts"),
    steps: all("steps"),
    assets: all("assets"),
  };
}

/** What `run-1` has of each kind, as texts in an order of their own, so that only what is there counts. */
async function stored(fixture: StorageFixture): Promise<Readonly<Record<string, readonly string[]>>> {
  const kinds: [string, readonly object[]][] = [
    ["first", await fixture.all("tasks", { runId: "run-1", generation: 1 })],
  ];
  for (const kind of OF_RUN) kinds.push([kind, await fixture.all(kind, { runId: "run-1" }, 3)]);
  return Object.fromEntries(kinds.map(([kind, records]) => [kind, records.map(asText).sort()]));
}

/** What `stored()` gives for these records. */
function expected({ tasks, artifacts, ...records }: Records): Readonly<Record<string, readonly string[]>> {
  const kinds: [string, readonly object[]][] = [
    ["first", tasks.filter(({ generation }) => generation === 1)],
    ["tasks", tasks.filter(({ generation }) => generation === 2)],
    ["artifacts", artifacts.map(({ data: _, ...info }) => info)],
    ...Object.entries(records),
  ];
  return Object.fromEntries(kinds.map(([kind, all]) => [kind, all.map(asText).sort()]));
}

function asText(record: object): string {
  return JSON.stringify(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The same records with the texts in them as they were written. */
function moved(records: Records, task: string, position: number): Records {
  const place = <Record>(record: Record): Record => ({ ...record, task });
  const placed = <Record>(record: Record): Record => ({ ...record, task, position });
  return {
    tasks: records.tasks.map(placed),
    attempts: records.attempts.map(placed),
    logs: records.logs.map(place),
    metrics: records.metrics.map(place),
    artifacts: records.artifacts.map(place),
    steps: records.steps.map(place),
    assets: records.assets.map(place),
  };
}

export const remapping: ContractTopic<StorageFixture> = {
  name: "remapping",
  cases: [
    {
      name: "remapRun() moves the records, attempts, steps and lines of each task to its new place and id",
      async check(fixture) {
        await fixture.owned("run-1", "run-2");
        // Two that change places, one that stays, one that only gets another id, one that only moves, with its items.
        const parts = {
          a: everyRecord("a", 0),
          b: everyRecord("b", 1),
          stays: everyRecord("stays", 2),
          renamed: everyRecord("renamed", 3),
          map: everyRecord("map", 4),
          item: everyRecord("map", 4, [10]),
          nested: everyRecord("map", 4, [10, 2]),
        };
        await fixture.write("run-1", together(...Object.values(parts)));
        const request = remap("run-1", {
          tasks: [
            { from: 0, position: 1, task: "a" },
            { from: 1, position: 0, task: "b" },
            { from: 2, position: 2, task: "stays" },
            { from: 3, position: 3, task: "by another name" },
            { from: 4, position: 70, task: "map" },
          ],
        });
        assert.equal(await fixture.storage.remapRun(request), "moved");
        const after = together(
          moved(parts.a, "a", 1),
          moved(parts.b, "b", 0),
          parts.stays,
          moved(parts.renamed, "by another name", 3),
          ...[parts.map, parts.item, parts.nested].map((part) => moved(part, "map", 70)),
        );
        assertEqual(await stored(fixture), expected(after));
        const names = (await fixture.all("tasks", { runId: "run-1" }, 2)).map(({ task, index }) => [task, ...index]);
        assertEqual(names, [["b"], ["a"], ["stays"], ["by another name"], ["map"], ["map", 10], ["map", 10, 2]]);
        const loaded = await fixture.storage.loadTasks(["run-1"], { limit: 100 });
        assertEqual(loaded.items, await fixture.all("tasks", { runId: "run-1" }));
        assert.equal((await fixture.all("logs", { runId: "run-1", task: "by another name" })).length, 2);
        const artifact = await fixture.storage.getArtifact("run-1", "renamed");
        assertEqual([artifact?.task, Buffer.from(artifact!.data).toString()], ["by another name", "renamed"]);
      },
    },
    {
      name: "remapRun() lets tasks take each other's ids",
      async check(fixture) {
        await fixture.owned("run-1");
        const parts = ["a", "b", "c"].map((task, position) => everyRecord(task, position));
        await fixture.write("run-1", together(...parts));
        const next = ["b", "c", "a"];
        const tasks = next.map((task, from) => ({ from, position: (from + 2) % 3, task }));
        assert.equal(await fixture.storage.remapRun(remap("run-1", { tasks })), "moved");
        const after = parts.map((part, from) => moved(part, next[from]!, (from + 2) % 3));
        assertEqual(await stored(fixture), expected(together(...after)));
      },
    },
    {
      name: "remapRun() deletes what there is of tasks that are not kept, and nothing of other runs",
      async check(fixture) {
        await fixture.owned("run-1", "run-2");
        const kept = everyRecord("kept", 1);
        const gone = [everyRecord("gone", 0), everyRecord("gone", 0, [1]), everyRecord("gone too", 5)];
        await fixture.write("run-1", together(kept, ...gone));
        await fixture.write("run-2", oneOfEach("run-2"));
        const tasks = [
          { from: 1, position: 0, task: "kept" },
          { from: 9, position: 1, task: "nothing happened to it yet" },
        ];
        assert.equal(await fixture.storage.remapRun(remap("run-1", { tasks })), "moved");
        assertEqual(await stored(fixture), expected(moved(kept, "kept", 0)));
        assert.equal(await fixture.storage.getArtifact("run-1", "gone"), undefined);
        await expectHistory(fixture, "run-2", 1);
        assert.equal(await fixture.storage.remapRun(remap("run-1", { definition: "definition-3" })), "moved");
        await expectHistory(fixture, "run-1", 0);
      },
    },
    {
      name: "remapRun() moves a run once, however often it is asked",
      async check(fixture) {
        await fixture.owned("run-1");
        const [a, b] = [everyRecord("a", 0), everyRecord("b", 1)];
        await fixture.write("run-1", together(a, b));
        const tasks = [{ from: 0, position: 1, task: "a" }];
        for (let times = 0; times < 3; times++) {
          assert.equal(await fixture.storage.remapRun(remap("run-1", { tasks })), "moved");
        }
        assertEqual(await stored(fixture), expected(moved(a, "a", 1)));
      },
    },
    {
      name: "remapRun() gives the run its new definition, and leaves everything else of it as it was",
      async check(fixture) {
        await fixture.owned("run-1", "run-2");
        await fixture.write("run-1", { run: runState("paused", { crashes: 1, generation: 2 }) });
        await fixture.storage.send([cancelMessage("m1", "run-1")]);
        const before = await fixture.run("run-1");
        assert.equal(await fixture.storage.remapRun(remap("run-1")), "moved");
        assertEqual(await fixture.run("run-1"), { ...before, definition: "definition-2" });
        assertEqual(idsOf(await fixture.all("runs", { definition: "definition-2" })), ["run-1"]);
        assertEqual(idsOf(await fixture.all("runs", { definition: "definition-1" })), ["run-2"]);
        assertEqual(await fixture.messageIds("engine-1"), ["m1"]);
        await fixture.write("run-1", { consumed: ["m1"] });
        await fixture.storage.releaseLease("engine-1");
        await fixture.register("engine-2");
        assertEqual(idsOf(await fixture.claim("engine-2")), ["run-2"]);
        const request = claimRequest("engine-2", { definitions: ["definition-2"] });
        assertEqual(idsOf(await fixture.storage.claimRuns(request)), ["run-1"]);
      },
    },
    {
      name: "what is written after remapRun() replaces the records that were moved",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.write("run-1", {
          tasks: [taskRecord("run-1", 0), taskRecord("run-1", 1, { status: "running" })],
          attempts: [attemptRecord("run-1", 1, 1, { status: "running" })],
          steps: [stepRecord("run-1", "load", { task: "task-1" })],
        });
        await fixture.storage.remapRun(remap("run-1", { tasks: [{ from: 1, position: 0, task: "new" }] }));
        const anew = {
          tasks: [taskRecord("run-1", 0, { task: "new", output: "j1:9" }), taskRecord("run-1", 1)],
          attempts: [attemptRecord("run-1", 0, 1, { task: "new" })],
          steps: [stepRecord("run-1", "load", { task: "new", output: "j1:9" })],
        };
        await fixture.write("run-1", anew);
        assertEqual(await fixture.all("tasks", { runId: "run-1" }), anew.tasks);
        assertEqual(await fixture.all("attempts", { runId: "run-1" }), anew.attempts);
        assertEqual(await fixture.all("steps", { runId: "run-1" }), anew.steps);
      },
    },
    {
      name: "a task that waits for a signal waits on at its new place, and one that is gone does not",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.write("run-1", { tasks: [waitingRecord("run-1", 0, "kept"), waitingRecord("run-1", 1, "gone")] });
        await fixture.storage.remapRun(remap("run-1", { tasks: [{ from: 0, position: 1, task: "later" }] }));
        await fixture.write("run-1", { tasks: [taskRecord("run-1", 0)] }); // another task is where it was
        await fixture.storage.sendSignals([keyedSignal("s1", "gone"), keyedSignal("s2", "kept")]);
        assertEqual(await fixture.messageIds("engine-1"), ["s2"]);
        const answered = { tasks: [taskRecord("run-1", 1, { task: "later" })], consumed: ["s2"] };
        await fixture.write("run-1", answered);
        await fixture.storage.sendSignals([keyedSignal("s3", "kept")]);
        assertEqual(await fixture.messageIds("engine-1"), []);
      },
    },
    {
      name: "remapRun() changes nothing for anybody but the owner under its present epoch",
      async check(fixture) {
        await fixture.owned("run-1", "done");
        await fixture.register("engine-2");
        await fixture.storage.createRuns([newRun("free")]);
        for (const id of ["run-1", "done"]) await fixture.write(id, oneOfEach(id));
        await fixture.write("done", { run: ended("succeeded") });
        const before = await fixture.all("runs", {});
        const requests = [
          remap("run-1", { epoch: 0 }),
          remap("run-1", { epoch: 2 }),
          remap("run-1", { engineId: "engine-2" }),
          remap("run-1", { engineId: "stranger" }),
          remap("free", { epoch: 0 }),
          remap("free", { epoch: 1 }),
          remap("done"),
          remap("no-such-run"),
        ];
        for (const request of requests) {
          assert.equal(await fixture.storage.remapRun(request), "fenced", JSON.stringify(request));
        }
        assertEqual(await fixture.all("runs", {}), before);
        for (const id of ["run-1", "done"]) await expectHistory(fixture, id, 1);
        await fixture.storage.releaseLease("engine-1");
        await fixture.claim("engine-2");
        assert.equal(await fixture.storage.remapRun(remap("run-1")), "fenced", "the run was taken over");
        await expectHistory(fixture, "run-1", 1);
        await fixture.commit("engine-2", changes("run-1", 2, { run: ended("succeeded") }));
      },
    },
  ],
};
