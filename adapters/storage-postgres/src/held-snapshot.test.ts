import { describe, expect, it } from "vitest";
import { quoted } from "./migrations.js";
import { openClient, openStorage } from "./test-support/database.js";
import { changes, claimRequest, flush, logRecord, newRun, owned, register, runState } from "./test-support/records.js";

const COMMITS = 3_000;
const PART = 500;

function median(times: readonly number[]): number {
  return [...times].sort((a, b) => a - b)[times.length >> 1]!;
}

describe("while an old transaction keeps anything from being cleaned up", () => {
  it("F22 commits, renewals and claims take no longer, after thousands of them", async () => {
    const { storage, schema } = await openStorage();
    await owned(storage, "run-1");
    await register(storage, "engine-2");
    const old = await openClient();
    await old.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
    await old.query(`SELECT count(*) FROM ${quoted(schema)}.engines`);

    const commits: number[] = [];
    const others: number[] = [];
    for (let n = 0; n < COMMITS; n++) {
      const began = performance.now();
      const details = { run: runState("running", { startedAt: n }), logs: [logRecord("run-1", `${n}`)] };
      await storage.commit(flush(changes("run-1", details)));
      commits.push(performance.now() - began);
      if (n % 10 > 0) continue;
      const then = performance.now();
      await storage.renewLease({
        engineId: "engine-1",
        definitions: ["definition-1"],
        leaseMs: 3_600_000,
        isNew: false,
      });
      await storage.createRuns([newRun(`free-${n}`)]);
      expect(await storage.claimRuns(claimRequest({ engineId: "engine-2" }))).toHaveLength(1);
      others.push(performance.now() - then);
    }
    await old.query("ROLLBACK");
    expect(median(commits.slice(-PART)) / median(commits.slice(0, PART))).toBeLessThan(2);
    expect(median(others.slice(-PART / 10)) / median(others.slice(0, PART / 10))).toBeLessThan(2);
  }, 60_000);

  it("F22 renewals of many engines stay on their pages, and so out of the index", async () => {
    const { storage, schema } = await openStorage();
    const engines = Array.from({ length: 20 }, (_, n) => `engine-${n}`);
    for (const id of engines) await register(storage, id);
    const old = await openClient();
    await old.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
    const pages = async (client: Awaited<ReturnType<typeof openClient>>) =>
      (
        await client.query(
          `SELECT id, split_part(ctid::text, ',', 1) AS page FROM ${quoted(schema)}.engines ORDER BY id`,
        )
      ).rows;
    const before = await pages(old);
    const renew = { definitions: ["definition-1"], leaseMs: 60_000, isNew: false };
    for (let n = 0; n < 5; n++) for (const engineId of engines) await storage.renewLease({ ...renew, engineId });
    expect(await pages(await openClient())).toEqual(before);
    await old.query("ROLLBACK");
  });
});
