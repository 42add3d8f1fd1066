import assert from "node:assert/strict";
import type { RunRecord, Storage, StorageHint } from "weftline";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { idsOf, passTime, type StorageFixture } from "./fixture.js";
import {
  artifactRecord,
  cacheEntry,
  cancelMessage,
  changes,
  claimRequest,
  definitionRecord,
  ended,
  flush,
  keyedSignal,
  leaseRequest,
  lookRequest,
  newRun,
  oneOfEach,
  runState,
  START,
  scheduleRecord,
  taskRecord,
  waitingRecord,
} from "./records.js";

/** Hints may be lost: a store gets several chances to give one, and this long for each. */
const HINT_CHANCES = 5;
const HINT_MS = 500;
const POLL_MS = 5;

/** Makes changes until a hint `matches`. */
async function expectHint(
  fixture: StorageFixture,
  change: (round: number) => Promise<unknown>,
  matches: (hint: StorageHint, round: number) => boolean,
  what: string,
): Promise<void> {
  const hints: StorageHint[] = [];
  const unlisten = await fixture.storage.listen!((hint) => void hints.push(hint));
  try {
    for (let round = 0; round < HINT_CHANCES; round++) {
      await change(round);
      for (let waited = 0; waited < HINT_MS; waited += POLL_MS) {
        if (hints.some((hint) => matches(hint, round))) return;
        await passTime(POLL_MS);
      }
    }
  } finally {
    await unlisten();
  }
  assert.fail(`supports.notify is true, and no hint came ${what}, among ${JSON.stringify(hints)}`);
}

function concerns(hint: StorageHint, topic: StorageHint["topic"], id: string): boolean {
  return hint.topic === topic && (hint.ids.length === 0 || hint.ids.includes(id));
}

/** A second store on the same data, which only a store for many processes has while the first is open. */
async function second(fixture: StorageFixture): Promise<Storage | undefined> {
  return fixture.storage.supports.manyProcesses ? fixture.openAgain() : undefined;
}

export const capabilities: ContractTopic<StorageFixture> = {
  name: "capabilities",
  cases: [
    {
      name: "supports says yes or no to each capability, and says the same after open()",
      async check(fixture) {
        const { manyProcesses, hostTransactions, notify, durable } = fixture.storage.supports;
        for (const flag of [manyProcesses, hostTransactions, notify, durable]) assert.equal(typeof flag, "boolean");
        const fresh = await fixture.source.open(`${fixture.place}-fresh`);
        assertEqual({ ...fresh.supports }, { ...fixture.storage.supports });
      },
    },
    {
      name: "notify: listen() is there exactly when supports.notify is true",
      async check({ storage }) {
        assert.equal(storage.listen !== undefined, storage.supports.notify, "listen() and supports.notify disagree");
      },
    },
    {
      name: "notify: hints come when runs are created, end or get messages, and when schedules change",
      async check(fixture) {
        if (!fixture.storage.supports.notify) return;
        await expectHint(
          fixture,
          (round) => fixture.storage.createRuns([newRun(`free-${round}`)]),
          (hint, round) => concerns(hint, "runs", `free-${round}`),
          "when a run was created that anybody may claim",
        );
        await expectHint(
          fixture,
          async (round) => {
            await fixture.owned(`own-${round}`);
            await fixture.write(`own-${round}`, { run: ended("succeeded") });
          },
          (hint, round) => concerns(hint, "finished", `own-${round}`),
          "when a run ended",
        );
        await expectHint(
          fixture,
          async (round) => {
            await fixture.owned(`told-${round}`);
            await fixture.storage.send([cancelMessage(`m-${round}`, `told-${round}`)]);
          },
          (hint, round) => concerns(hint, "inbox", `told-${round}`),
          "when a message was sent",
        );
        await expectHint(
          fixture,
          async (round) => {
            await fixture.owned(`waits-${round}`);
            await fixture.write(`waits-${round}`, { tasks: [waitingRecord(`waits-${round}`, 0, `key-${round}`)] });
            await fixture.storage.sendSignals([keyedSignal(`s-${round}`, `key-${round}`)]);
          },
          (hint, round) => concerns(hint, "inbox", `waits-${round}`),
          "when a signal was sent to the key that a task waits for",
        );
        await expectHint(
          fixture,
          (round) => fixture.storage.putSchedules([scheduleRecord(`schedule-${round}`)]),
          (hint) => hint.topic === "schedules",
          "when a schedule was added",
        );
      },
    },
    {
      name: "notify: no hint comes after the subscription was ended",
      async check(fixture) {
        const { storage } = fixture;
        if (!storage.listen) return;
        const hints: StorageHint[] = [];
        const unlisten = await storage.listen((hint) => void hints.push(hint));
        await unlisten();
        await unlisten();
        const before = hints.length;
        await fixture.create("run-1");
        await passTime(50);
        assert.equal(hints.length, before);
      },
    },
    {
      name: "durable: what was confirmed is there after close() and opening the same place again",
      async check(fixture) {
        if (!fixture.storage.supports.durable) return;
        await fixture.owned("run-1", "done");
        await fixture.storage.createRuns([newRun("keyed", { key: "k" })]);
        await fixture.storage.putSchedules([scheduleRecord("nightly")]);
        await fixture.storage.putDefinitions([definitionRecord("hash-1")]);
        await fixture.write("run-1", {
          ...oneOfEach("run-1"),
          artifacts: [artifactRecord("run-1", "report", Uint8Array.of(0, 255, 10, 13))],
          cached: [cacheEntry("key")],
        });
        await fixture.write("done", { run: ended("succeeded") });
        await fixture.storage.send([cancelMessage("m1", "run-1")]);
        const before = await snapshot(fixture, fixture.storage);
        await fixture.storage.releaseLease("engine-1");
        await fixture.storage.close();

        const again = await fixture.openAgain();
        assertEqual(await snapshot(fixture, again), before, "an open() of the same place has to find the same data");
        await again.renewLease(leaseRequest("engine-2"));
        const claimed = await fixture.claim("engine-2", 10, again);
        assertEqual(claimed.map(({ id, epoch }) => [id, epoch]).sort(), [
          ["keyed", 1],
          ["run-1", 2],
        ]);
        assertEqual(idsOf(await again.receive("engine-2")), ["m1"]);
        const [conflict] = await again.createRuns([newRun("other", { key: "k", fingerprint: "other" })]);
        assertEqual(conflict, { kind: "conflict", runId: "keyed" });
      },
    },
    {
      name: "durable: a signal outlasts the store until a task takes it, and what was received is not given again",
      async check(fixture) {
        if (!fixture.storage.supports.durable) return;
        await fixture.owned("run-1", "run-2", "run-3");
        const waiting = (id: string) => ({ tasks: [waitingRecord(id, 0, "key")] });
        for (const id of ["run-1", "run-2"]) await fixture.write(id, waiting(id));
        for (const n of [1, 2, 3])
          await fixture.storage.sendSignals([keyedSignal(`s${n}`, "key", { sentAt: START + n })]);
        assertEqual((await fixture.messageIds("engine-1")).sort(), ["s1", "s2"]);
        await fixture.write("run-1", { tasks: [taskRecord("run-1", 0)], consumed: ["s1"] });
        await fixture.storage.releaseLease("engine-1");
        await fixture.storage.close();

        const again = await fixture.openAgain();
        await again.renewLease(leaseRequest("engine-2"));
        const claimed = await fixture.claim("engine-2", 10, again);
        assertEqual(idsOf(await again.receive("engine-2")), ["s2"]);
        const { id, epoch } = claimed.at(-1)!;
        await again.commit(flush("flush", "engine-2", changes(id, epoch, waiting(id))));
        const received = (await again.receive("engine-2")).map((message) => `${message.id} to ${message.runId}`);
        assertEqual(received.sort(), ["s2 to run-2", "s3 to run-3"]);
      },
    },
    {
      name: "durable: a run that was deleted stays deleted",
      async check(fixture) {
        if (!fixture.storage.supports.durable) return;
        await fixture.owned("run-1", "run-2");
        for (const id of ["run-1", "run-2"]) await fixture.write(id, { ...oneOfEach(id), run: ended("succeeded") });
        await fixture.storage.deleteRun("run-1");
        await fixture.storage.close();
        const again = await fixture.openAgain();
        assertEqual(idsOf(await fixture.all("runs", {}, 10, again)), ["run-2"]);
        assertEqual(await fixture.all("logs", { runId: "run-1" }, 10, again), []);
      },
    },
    {
      name: "durable: a store for one process gives back, when it is opened, what a dead engine had owned",
      async check(fixture) {
        const { durable, manyProcesses } = fixture.storage.supports;
        if (!durable || manyProcesses) return;
        // Its lease was endless, as nobody else could have taken over; it never came to release it.
        await fixture.storage.renewLease(leaseRequest("dead", { leaseMs: Number.POSITIVE_INFINITY }));
        await fixture.storage.createRuns(["run-1", "run-2"].map((id) => newRun(id, { owner: "dead" })));
        await fixture.commit("dead", changes("run-1", 1, { run: runState("running") }));
        await fixture.storage.close();
        const again = await fixture.openAgain();
        for (const id of ["run-1", "run-2"]) assert.equal((await again.getRun(id))?.owner, undefined, id);
        await again.renewLease(leaseRequest("engine-2", { leaseMs: Number.POSITIVE_INFINITY }));
        const claimed = await fixture.claim("engine-2", 10, again);
        assertEqual(
          claimed.map(({ id, epoch, crashes }) => [id, epoch, crashes]),
          [
            ["run-1", 2, 1],
            ["run-2", 2, 0],
          ],
        );
      },
    },
    {
      name: "durable: different places have different data",
      async check(fixture) {
        await fixture.create("run-1");
        const other = await fixture.source.open(`${fixture.place}-other`);
        await fixture.reopen(other);
        try {
          assert.equal(await other.getRun("run-1"), undefined);
        } finally {
          await other.close();
        }
      },
    },
    {
      name: "manyProcesses: a second store on the same data sees every change, and shares claims and leases",
      async check(fixture) {
        const other = await second(fixture);
        if (other === undefined) return;
        await fixture.register("engine-1");
        await other.renewLease(leaseRequest("engine-2"));
        await fixture.create("run-1", "run-2", "run-3");
        const [mine, theirs] = await Promise.all([fixture.claim("engine-1", 2), fixture.claim("engine-2", 2, other)]);
        assert.equal(new Set(idsOf([...mine, ...theirs])).size, mine.length + theirs.length);
        await fixture.letLeaseRunOut("engine-1");
        await fixture.claim("engine-2", 10, other);
        const owners = await fixture.all("runs", {});
        assertEqual(
          owners.map(({ owner }) => owner),
          ["engine-2", "engine-2", "engine-2"],
        );
        const late = mine.map(({ id, epoch }) => changes(id, epoch, { run: ended("failed") }));
        const outcome = await fixture.storage.commit(flush("late", "engine-1", ...late));
        assertEqual(outcome, { kind: "ok", fenced: idsOf(mine) });
      },
    },
    {
      name: "manyProcesses: a second store on the same data keeps to the same limits, and gives no signal twice",
      async check(fixture) {
        const other = await second(fixture);
        if (other === undefined) return;
        await fixture.storage.renewLease(leaseRequest("engine-1"));
        await other.renewLease(leaseRequest("engine-2"));
        await fixture.create(...Array.from({ length: 10 }, (_, n) => `run-${n}`));
        const claim = (engineId: string, storage: Storage) =>
          storage.claimRuns(claimRequest(engineId, { maxActiveRuns: { nightly: 3 }, limit: 2 }));
        const [mine, theirs] = await Promise.all([claim("engine-1", fixture.storage), claim("engine-2", other)]);
        assert.equal(mine.length + theirs.length, 3);
        await fixture.storage.sendSignals([keyedSignal("s1", "key")]);
        const wait = (storage: Storage, engineId: string, runs: readonly RunRecord[]) => {
          const waiting = runs.map(({ id, epoch }) => changes(id, epoch, { tasks: [waitingRecord(id, 0, "key")] }));
          return storage.commit(flush("flush", engineId, ...waiting));
        };
        await Promise.all([wait(fixture.storage, "engine-1", mine), wait(other, "engine-2", theirs)]);
        await Promise.all([fixture.storage.receive("engine-1"), other.receive("engine-2")]);
        const received = [...(await other.receive("engine-1")), ...(await fixture.storage.receive("engine-2"))];
        assertEqual(idsOf(received), ["s1"]);
      },
    },
    {
      name: "manyProcesses: without it, a lease may be endless",
      async check(fixture) {
        if (fixture.storage.supports.manyProcesses) return;
        await fixture.storage.renewLease(leaseRequest("engine-1", { leaseMs: Number.POSITIVE_INFINITY }));
        await fixture.storage.createRuns([newRun("run-1", { owner: "engine-1" })]);
        assert.equal((await fixture.storage.look(lookRequest("engine-9", { now: fixture.now }))).nextWake, undefined);
        await fixture.register("engine-2");
        assertEqual(await fixture.claim("engine-2"), []);
      },
    },
  ],
};

/** What a store holds, one part after the other, without what a graceful stop changes. */
async function snapshot(fixture: StorageFixture, storage: Storage): Promise<readonly unknown[]> {
  const runs = await fixture.all("runs", {}, 1_000, storage);
  const artifact = await storage.getArtifact("run-1", "report");
  return [
    runs.map(withoutOwners),
    await fixture.all("tasks", { runId: "run-1" }, 1_000, storage),
    await fixture.all("tasks", { runId: "run-1", generation: 1 }, 1_000, storage),
    await fixture.all("logs", { runId: "run-1" }, 1_000, storage),
    await fixture.all("steps", { runId: "run-1" }, 1_000, storage),
    await fixture.all("assets", { runId: "run-1" }, 1_000, storage),
    artifact && Buffer.from(artifact.data).toString("hex"),
    await storage.getCached("key", START),
    await storage.getDefinition("hash-1"),
    await storage.schedules(),
  ];
}

function withoutOwners<Part>(part: Part): Part {
  return typeof part === "object" && part !== null && "owner" in part ? { ...part, owner: undefined } : part;
}
