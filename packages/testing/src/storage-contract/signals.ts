import assert from "node:assert/strict";
import type { TaskRecord } from "weftline";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import type { StorageFixture } from "./fixture.js";
import {
  changes,
  ended,
  keyedSignal,
  newRun,
  ODD_TEXTS,
  resumeMessage,
  START,
  taskRecord,
  waitingRecord,
} from "./records.js";

const KEY = "order 4711";

/** Lets the first task of a run of `engine-1` wait for signals to a key. */
function wait(fixture: StorageFixture, runId: string, details: Partial<TaskRecord> = {}): Promise<void> {
  return fixture.write(runId, { tasks: [waitingRecord(runId, 0, KEY, details)] });
}

/** Sends signals to the key one after the other; those with a higher number are younger. */
async function signal(fixture: StorageFixture, ...numbers: number[]): Promise<void> {
  for (const n of numbers) await fixture.storage.sendSignals([keyedSignal(`s${n}`, KEY, { sentAt: START + n })]);
}

/** Which signals wait in the inboxes of an engine's runs. */
async function given(fixture: StorageFixture, engineId = "engine-1"): Promise<string[]> {
  return (await fixture.storage.receive(engineId)).map(({ id, runId }) => `${id} to ${runId}`).sort();
}

export const signals: ContractTopic<StorageFixture> = {
  name: "signals",
  cases: [
    {
      name: "receive() gives a keyed signal to the run of which a task waits for its key, as a message of the same id",
      async check(fixture) {
        await fixture.owned("run-1", "run-2");
        await wait(fixture, "run-2", { index: [3] });
        const { id, key, payload, sentAt } = keyedSignal("s1", KEY, { payload: 'j1:{"by":"anna"}', sentAt: START + 7 });
        await fixture.storage.sendSignals([{ id, key, payload, sentAt }]);
        const message = { id, runId: "run-2", sentAt, kind: "signal", to: { key }, payload };
        assertEqual(await fixture.storage.receive("engine-1"), [message]);
      },
    },
    {
      name: "sendSignals() keeps signals until a task waits for their key",
      async check(fixture) {
        await fixture.owned("run-1");
        await signal(fixture, 1);
        assertEqual(await given(fixture), []);
        await wait(fixture, "run-1");
        assertEqual(await given(fixture), ["s1 to run-1"]);
      },
    },
    {
      name: "receive() gives the oldest signal to the run that has waited longest, one to each waiting task",
      async check(fixture) {
        await fixture.owned("run-1", "run-2", "run-3");
        for (const id of ["run-3", "run-1"]) await wait(fixture, id);
        await signal(fixture, 1, 2, 3, 4);
        assertEqual(await given(fixture), ["s1 to run-3", "s2 to run-1"]);
        await wait(fixture, "run-2");
        assertEqual(await given(fixture), ["s1 to run-3", "s2 to run-1", "s3 to run-2"]);
      },
    },
    {
      name: "a task that is written again while it waits keeps its turn",
      async check(fixture) {
        await fixture.owned("run-1", "run-2");
        for (const id of ["run-2", "run-1"]) await wait(fixture, id);
        await wait(fixture, "run-2", { reason: "written again" });
        await signal(fixture, 1);
        assertEqual(await given(fixture), ["s1 to run-2"]);
      },
    },
    {
      name: "receive() gives a waiting task no second signal, and the next one when it waits again",
      async check(fixture) {
        await fixture.owned("run-1");
        await wait(fixture, "run-1");
        await signal(fixture, 1, 2);
        assertEqual(await given(fixture), ["s1 to run-1"]);
        assertEqual(await given(fixture), ["s1 to run-1"]);
        await fixture.write("run-1", { tasks: [taskRecord("run-1", 0, { status: "running" })], consumed: ["s1"] });
        assertEqual(await given(fixture), []);
        await wait(fixture, "run-1");
        assertEqual(await given(fixture), ["s2 to run-1"]);
      },
    },
    {
      name: "receive() gives a run as many signals as its tasks and items wait for",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.write("run-1", {
          tasks: [
            waitingRecord("run-1", 0, KEY),
            taskRecord("run-1", 1, { items: 2 }),
            waitingRecord("run-1", 1, KEY, { index: [0] }),
            waitingRecord("run-1", 1, KEY, { index: [1], generation: 2 }),
            waitingRecord("run-1", 2, "another key"),
          ],
        });
        await signal(fixture, 1, 2, 3, 4);
        assertEqual(await given(fixture), ["s1 to run-1", "s2 to run-1", "s3 to run-1"]);
      },
    },
    {
      name: "receive() gives signals to exactly their keys",
      async check(fixture) {
        const keys = ["k", "K", "k ", ...ODD_TEXTS.slice(1)]; // no key is empty
        await fixture.owned("without", "asleep", ...keys.map((_, place) => `run-${place}`));
        await fixture.write("without", { tasks: [waitingRecord("without", 0, undefined)] });
        const asleep = { kind: "sleep", until: START + 9_000 } as const;
        await fixture.write("asleep", { tasks: [waitingRecord("asleep", 0, "k", { wait: asleep })] });
        for (const [place, key] of keys.entries()) {
          await fixture.write(`run-${place}`, { tasks: [waitingRecord(`run-${place}`, 0, key)] });
        }
        const sent = keys.map((key, place) => keyedSignal(`s${place}`, key, { payload: `d1:${key}` })).reverse();
        await fixture.storage.sendSignals([...sent, keyedSignal("nobody's", "undefined")]);
        const messages = await fixture.storage.receive("engine-1");
        assertEqual(
          messages.map((message) => [message.runId, message.kind === "signal" && message.payload]).sort(),
          keys.map((key, place) => [`run-${place}`, `d1:${key}`]).sort(),
        );
      },
    },
    {
      name: "receive() gives signals only to tasks that wait now",
      async check(fixture) {
        await fixture.owned("was", "anew", "hidden");
        for (const id of ["was", "anew"]) await wait(fixture, id);
        await wait(fixture, "hidden", { index: [0] });
        await wait(fixture, "was", { status: "cancelled" }); // what it waited for may stay on the record
        await fixture.write("anew", { tasks: [taskRecord("anew", 0, { generation: 2, status: "running" })] });
        await fixture.write("hidden", { tasks: [taskRecord("hidden", 0, { generation: 2 })] });
        await signal(fixture, 1, 2, 3);
        assertEqual(await given(fixture), []);
        await wait(fixture, "anew", { generation: 2 });
        assertEqual(await given(fixture), ["s1 to anew"]);
      },
    },
    {
      name: "receive() moves signals only to runs that the engine owns",
      async check(fixture) {
        await fixture.owned("run-1", "ended");
        await fixture.register("engine-2");
        await wait(fixture, "ended");
        await fixture.write("ended", { run: ended("failed") });
        await wait(fixture, "run-1");
        await signal(fixture, 1);
        assertEqual(await given(fixture, "engine-2"), []);
        await fixture.storage.releaseLease("engine-1");
        assertEqual(await given(fixture, "engine-2"), []);
        await fixture.claim("engine-2");
        assertEqual(await given(fixture, "engine-2"), ["s1 to run-1"]);
      },
    },
    {
      name: "a signal that was moved stays with its run until a commit consumes it, whoever owns the run",
      async check(fixture) {
        await fixture.owned("run-1", "run-2");
        await wait(fixture, "run-1");
        await signal(fixture, 1);
        await given(fixture);
        await wait(fixture, "run-2");
        assertEqual(await given(fixture), ["s1 to run-1"]);
        await fixture.storage.releaseLease("engine-1");
        await fixture.register("engine-2");
        await fixture.claim("engine-2");
        assertEqual(await given(fixture, "engine-2"), ["s1 to run-1"]);
        await fixture.commit("engine-2", changes("run-1", 2, { tasks: [taskRecord("run-1", 0)], consumed: ["s1"] }));
        assertEqual(await given(fixture, "engine-2"), []);
      },
    },
    {
      name: "a signal that was moved goes with its run when that ends",
      async check(fixture) {
        await fixture.owned("run-1", "run-2");
        await wait(fixture, "run-1");
        await signal(fixture, 1);
        await given(fixture);
        await fixture.write("run-1", { run: ended("failed") });
        await wait(fixture, "run-2");
        assertEqual(await given(fixture), []);
        await fixture.storage.send([resumeMessage("resume", "run-1")]);
        await fixture.claim("engine-1");
        assertEqual(await given(fixture), ["resume to run-1"]);
      },
    },
    {
      name: "a signal that nobody took stays, whatever becomes of the runs that waited",
      async check(fixture) {
        await fixture.owned("run-1", "run-2");
        await wait(fixture, "run-1");
        await fixture.write("run-1", { run: ended("cancelled") });
        await signal(fixture, 1);
        assertEqual(await given(fixture), []);
        await fixture.storage.deleteRun("run-1");
        await wait(fixture, "run-2");
        assertEqual(await given(fixture), ["s1 to run-2"]);
      },
    },
    {
      name: "receive() gives each signal to one run, however many engines ask at once",
      async check(fixture) {
        const engines = Array.from({ length: 5 }, (_, n) => `engine-${n}`);
        await fixture.register(...engines);
        for (const owner of engines) {
          await fixture.storage.createRuns([newRun(`run-of-${owner}`, { owner })]);
          await fixture.commit(
            owner,
            changes(`run-of-${owner}`, 1, { tasks: [waitingRecord(`run-of-${owner}`, 0, KEY)] }),
          );
        }
        await signal(fixture, 1, 2, 3);
        await Promise.all([...engines, ...engines].map((id) => fixture.storage.receive(id)));
        const received = (await Promise.all(engines.map((id) => fixture.storage.receive(id)))).flat();
        assertEqual(received.map(({ id }) => id).sort(), ["s1", "s2", "s3"]);
        assert.equal(new Set(received.map(({ runId }) => runId)).size, 3, "a run got two signals");
      },
    },
  ],
};
