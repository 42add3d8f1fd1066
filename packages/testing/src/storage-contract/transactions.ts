import assert from "node:assert/strict";
import type { HostTransaction, Storage, StorageHint } from "weftline";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { idsOf, passTime, type StorageFixture } from "./fixture.js";
import { asCreated, newRun, START } from "./records.js";

type Work = (tx: HostTransaction, storage: Storage) => Promise<void>;

/** How long a hint may take, and how often it is looked for. */
const HINT_MS = 2_000;
const POLL_MS = 5;

/** Does some work in a transaction of the host's that is committed. @returns False where stores cannot join one. */
async function committed({ storage, source }: StorageFixture, work: Work): Promise<boolean> {
  if (source.transaction === undefined) return false;
  await source.transaction(storage, (tx) => work(tx, storage));
  return true;
}

/** Does some work in a transaction that is rolled back. */
async function rolledBack({ storage, source }: StorageFixture, work: Work): Promise<void> {
  if (source.transaction === undefined) return;
  const failing = source.transaction(storage, async (tx) => {
    await work(tx, storage);
    throw new Error("the host changed its mind");
  });
  await assert.rejects(failing, /changed its mind/);
}

export const transactions: ContractTopic<StorageFixture> = {
  name: "host transactions",
  cases: [
    {
      name: "hostTransactions: createRuns() joins the host's transaction, and is undone with it",
      async check(fixture) {
        const { storage, source } = fixture;
        assert.equal(
          source.transaction !== undefined,
          storage.supports.hostTransactions,
          "give the suite `transaction` exactly when supports.hostTransactions is true",
        );
        const run = newRun("committed", { createdAt: START, key: "k1", tags: ["x"] });
        const isThere = await committed(fixture, async (tx) => {
          const answers = await storage.createRuns([run], { tx });
          assertEqual(answers, [{ kind: "created", run: asCreated(run) }]);
        });
        if (!isThere) return;
        assertEqual(await storage.getRun("committed"), asCreated(run), "the transaction was committed");
        await rolledBack(fixture, async (tx) => {
          await storage.createRuns([newRun("rolled-back", { key: "k" })], { tx });
        });
        assert.equal(await storage.getRun("rolled-back"), undefined, "the transaction was rolled back");
        const [answer] = await storage.createRuns([newRun("after", { key: "k" })]);
        assert.equal(answer?.kind, "created", "the key of a run that was rolled back is free");
      },
    },
    {
      name: "hostTransactions: nobody sees or claims a run before the host has committed it, and anybody can then",
      async check(fixture) {
        const { storage } = fixture;
        await fixture.register("engine-1");
        const isThere = await committed(fixture, async (tx) => {
          await storage.createRuns([newRun("run-1"), newRun("run-2")], { tx });
          assert.equal(await storage.getRun("run-1"), undefined);
          assertEqual(await fixture.claim("engine-1"), []);
        });
        if (isThere) assertEqual(idsOf(await fixture.claim("engine-1")), ["run-1", "run-2"]);
      },
    },
    {
      name: "hostTransactions: createRuns() answers for known ids and keys as ever, and the transaction goes on",
      async check(fixture) {
        const { storage } = fixture;
        await storage.createRuns([newRun("known", { key: "k" })]);
        const isThere = await committed(fixture, async (tx) => {
          const answers = await storage.createRuns(
            [
              newRun("known", { fingerprint: "other" }),
              newRun("same", { key: "k" }),
              newRun("conflict", { key: "k", fingerprint: "other" }),
              newRun("new", { key: "k2" }),
            ],
            { tx },
          );
          assertEqual(
            answers.map((answer) => [answer.kind, answer.kind === "conflict" ? answer.runId : answer.run.id]),
            [
              ["existing", "known"],
              ["existing", "known"],
              ["conflict", "known"],
              ["created", "new"],
            ],
          );
          const [again] = await storage.createRuns([newRun("newer", { key: "k2" })], { tx });
          assert.equal(again?.kind === "existing" && again.run.id, "new", "the transaction sees its own runs");
        });
        if (isThere) assertEqual(idsOf(await fixture.all("runs", {})).sort(), ["known", "new"]);
      },
    },
    {
      name: "hostTransactions: afterCommit() gives the hint that there are runs, where the store gives hints",
      async check(fixture) {
        const { storage } = fixture;
        if (storage.listen === undefined || fixture.source.transaction === undefined) return;
        const hints: StorageHint[] = [];
        const callbacks: (() => void)[] = [];
        const unlisten = await storage.listen((hint) => void hints.push(hint));
        try {
          await committed(fixture, async (tx) => {
            const query: HostTransaction["query"] = (sql, parameters) => tx.query(sql, parameters);
            const afterCommit = (callback: () => void) => void callbacks.push(callback);
            await storage.createRuns([newRun("run-1")], { tx: { query, afterCommit } });
          });
          assert.ok(callbacks.length > 0, "afterCommit() was not called");
          for (const callback of callbacks) callback();
          for (let waited = 0; waited < HINT_MS; waited += POLL_MS) {
            if (hints.some(({ topic }) => topic === "runs")) return;
            await passTime(POLL_MS);
          }
          assert.fail(`no hint came, among ${JSON.stringify(hints)}`);
        } finally {
          await unlisten();
        }
      },
    },
  ],
};
