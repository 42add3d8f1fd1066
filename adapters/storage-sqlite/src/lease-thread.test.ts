import { describe, expect, it } from "vitest";
import { run } from "./test-support/processes.js";
import { newFile } from "./test-support/store.js";

/** Owns a run under a lease of 1 s that a thread renews, and blocks its event loop for as long as it is told. */
const HOLD = `
  const [file, blockedMs, maxBlockedMs] = args;
  const storage = await openStorage(file);
  await register(storage, 1_000);
  await storage.createRuns([newRun("run-1", ENGINE)]);
  const kinds = [];
  const holder = await storage.holdLease({
    engineId: ENGINE,
    leaseMs: 1_000,
    everyMs: 200,
    definitions: DEFINITIONS,
    maxBlockedMs: Number(maxBlockedMs),
    onRenewal: ({ kind }) => kinds.push(kind),
  });
  await sleep(500);
  block(Number(blockedMs));
  const remaining = holder.remainingMs() > 0;
  await sleep(600);
  const { owner, crashes } = await storage.getRun("run-1");
  console.log(JSON.stringify({
    remaining,
    losses: holder.losses(),
    kinds: [...new Set(kinds)],
    isOwner: owner === ENGINE,
    crashes,
  }));
  await holder.stop();
  await storage.close();
`;

async function hold(blockedMs: number, maxBlockedMs: number): Promise<unknown> {
  const [line] = await run(HOLD, newFile(), `${blockedMs}`, `${maxBlockedMs}`);
  return JSON.parse(line!);
}

describe("a lease that a thread renews", () => {
  it("outlasts an event loop that is blocked for longer than the lease", async () => {
    const held = { remaining: true, losses: 0, kinds: ["renewed"], isOwner: true, crashes: 0 };
    expect(await hold(2_500, 60_000)).toEqual(held);
  });

  it("is lost by an event loop that is blocked for longer than maxBlockedMs", async () => {
    const lost = { remaining: false, losses: 1, kinds: ["renewed", "lost"], isOwner: false, crashes: 0 };
    expect(await hold(2_500, 1_000)).toEqual(lost);
  });

  it("outlasts it in the CommonJS build as well", async () => {
    const script = `
      import { createRequire } from "node:module";
      const built = createRequire(${JSON.stringify(import.meta.url)})("../dist/index.cjs");
      const log = { debug() {}, info() {}, warn() {}, error() {} };
      const storage = built.sqliteStorage({ file: args[0] });
      await storage.open({ log, now: Date.now });
      await register(storage, 1_000);
      const request = { engineId: ENGINE, leaseMs: 1_000, everyMs: 200, definitions: [], maxBlockedMs: 60_000 };
      const holder = await storage.holdLease({ ...request, onRenewal() {} });
      await sleep(500);
      block(2_000);
      console.log(holder.remainingMs() > 0, holder.losses());
      await storage.close();
    `;
    expect(await run(script, newFile())).toEqual(["true 0"]);
  });

  it("does not keep its process alive", async () => {
    const script = `
      const storage = await openStorage(args[0]);
      const request = { engineId: ENGINE, leaseMs: 60_000, everyMs: 50, definitions: [], maxBlockedMs: 60_000 };
      await storage.holdLease({ ...request, onRenewal() {} });
      await sleep(300);
      console.log("end");
    `;
    expect(await run(script, newFile())).toEqual(["end"]);
  });

  it("is left as it is once it is stopped, or the storage is closed", async () => {
    const script = `
      const storage = await openStorage(args[0]);
      const other = await openStorage(args[0]);
      const hold = (engineId) => storage.holdLease({
        engineId, leaseMs: 800, everyMs: 100, definitions: [], maxBlockedMs: 60_000, onRenewal() {},
      });
      const stopped = await hold("stopped");
      await hold("closed");
      await sleep(1_000);
      await stopped.stop();
      await stopped.stop();
      await storage.close();
      const living = async () => {
        const { engines, storeNow } = await other.survey({ now: Date.now() });
        return engines.filter(({ leaseUntil }) => leaseUntil > storeNow).map(({ id }) => id).sort().join();
      };
      console.log(await living());
      await sleep(900);
      console.log(await living());
      await other.close();
    `;
    expect(await run(script, newFile())).toEqual(["closed,stopped", ""]);
  });

  it("says what failed, with its code, and goes on where it can", async () => {
    const script = `
      import { renameSync } from "node:fs";
      const [file] = args;
      const storage = await openStorage(file);
      const failed = [];
      const onRenewal = (renewal) => renewal.kind === "failed" && failed.push(renewal.error);
      const request = { engineId: ENGINE, leaseMs: 60_000, everyMs: 50, definitions: [], maxBlockedMs: 60_000 };
      await storage.holdLease({ ...request, onRenewal });
      await sleep(300);
      renameSync(file, file + ".moved");
      while (failed.length < 2) await sleep(10);
      console.log(failed[0].code, failed[0].message.split(":")[0], failed[0].message.split(":")[1].trim() !== failed[0].code);
      await storage.close();
    `;
    expect(await run(script, newFile())).toEqual(["STORAGE_INVALID STORAGE_INVALID true"]);
  });
});
