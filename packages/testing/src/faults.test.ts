import { describe, expect, it } from "vitest";
import { memoryStorage, type Storage, seededRandom, type TaskRecord } from "weftline";
import { faultyStorage, NO_FAULTS, refusingStorage, type StorageFaults } from "./faults.js";
import { VirtualClock } from "./virtual-clock.js";

const LEASE = { engineId: "engine", leaseMs: 10_000, isNew: true, definitions: [] };

/** A store, and what an engine sees of it while calls go wrong in one way. */
async function setup(faults: Partial<StorageFaults>, latencyMs = 0) {
  const clock = new VirtualClock();
  const inner = memoryStorage();
  await inner.open({ log: console, now: clock.now });
  const seen: string[] = [];
  const faulty = faultyStorage(inner, {
    ...{
      random: seededRandom(1),
      clock,
      latencyMs,
      slowMs: [500, 500],
      stuckMs: [30_000, 30_000],
      lateMs: [3_000, 3_000],
    },
    faults: () => ({ ...NO_FAULTS, ...faults }),
    onFault: (kind, method, lastsMs) => void seen.push(`${kind} ${method} ${lastsMs}`),
  });
  const engines = async () => (await inner.survey({ now: clock.now() })).engines.length;
  return { clock, inner, seen, faulty, storage: faulty.storage, engines };
}

/** When a call is answered, and how. */
async function answered(clock: VirtualClock, call: Promise<unknown>): Promise<string> {
  const began = clock.now();
  const outcome = call.then(
    () => `ok after ${clock.now() - began} ms`,
    (error: Error) => `${error.message} after ${clock.now() - began} ms`,
  );
  await clock.advance("1h");
  return outcome;
}

describe("faultyStorage()", () => {
  it("passes calls on where nothing goes wrong", async () => {
    const { clock, storage, engines, seen } = await setup({});
    expect(await answered(clock, storage.renewLease(LEASE))).toBe("ok after 0 ms");
    expect(await engines()).toBe(1);
    expect(seen).toEqual([]);
  });

  it("fails before anything was done", async () => {
    const { clock, storage, engines, seen } = await setup({ error: 1 });
    expect(await answered(clock, storage.renewLease(LEASE))).toBe("connection refused after 0 ms");
    expect(await engines()).toBe(0);
    expect(seen).toEqual(["error renewLease 0"]);
  });

  it("does what was asked for and reports it as failed", async () => {
    const { clock, storage, engines } = await setup({ lostReply: 1 });
    expect(await answered(clock, storage.renewLease(LEASE))).toBe("connection reset after 0 ms");
    expect(await engines()).toBe(1);
  });

  it("takes its time", async () => {
    const { clock, storage, seen } = await setup({ slow: 1 });
    expect(await answered(clock, storage.renewLease(LEASE))).toBe("ok after 500 ms");
    expect(seen).toEqual(["slow renewLease 500"]);
  });

  it("leaves calls without an answer, until that is given up or they are let go", async () => {
    const { clock, storage, faulty } = await setup({ stuck: 1 });
    expect(await answered(clock, storage.renewLease(LEASE))).toBe("connection timed out after 30000 ms");
    const call = storage.renewLease(LEASE);
    faulty.letGo();
    expect(await answered(clock, call)).toBe("connection timed out after 0 ms");
  });

  it("does some of what is stuck, and some not", async () => {
    const { clock, storage, inner } = await setup({ stuck: 1 });
    const calls = Array.from({ length: 40 }, (_, n) => storage.renewLease({ ...LEASE, engineId: `engine ${n}` }));
    await Promise.all(calls.map((call) => answered(clock, call)));
    const { engines } = await inner.survey({ now: clock.now() });
    expect(engines.length).toBeGreaterThan(5);
    expect(engines.length).toBeLessThan(35);
  });

  it("does what was asked for after it was reported as failed", async () => {
    const { clock, storage, engines, seen } = await setup({ late: 1 });
    const call = storage.renewLease(LEASE).catch((error: Error) => error.message);
    await clock.advance(0);
    expect([await call, await engines()]).toEqual(["connection reset", 0]);
    await clock.advance(2_999);
    expect(await engines()).toBe(0);
    await clock.advance(1);
    expect(await engines()).toBe(1);
    expect(seen).toEqual(["late renewLease 3000"]);
  });

  it("is late with nothing that only reads", async () => {
    const { clock, storage, seen } = await setup({ late: 1 });
    expect(await answered(clock, storage.getRun("none"))).toBe("ok after 0 ms");
    expect(seen).toEqual([]);
  });

  it("loses hints", async () => {
    for (const lostHint of [0, 1]) {
      const { clock, storage } = await setup({ lostHint });
      let hints = 0;
      await storage.listen!(() => hints++);
      void storage.sendSignals([]);
      await clock.advance("1s");
      expect(hints).toBe(1 - lostHint);
    }
  });

  it("leaves out the renewal by a thread, where faults cannot reach", async () => {
    const holding: Storage = Object.assign(memoryStorage(), { holdLease: async () => ({}) as never });
    const clock = new VirtualClock();
    expect(faultyStorage(holding, { random: seededRandom(1), clock }).storage.holdLease).toBeUndefined();
  });
});

describe("refusingStorage()", () => {
  it("writes nothing of a flush that holds a value it refuses, and names that alone", async () => {
    const flushes: unknown[] = [];
    const inner: Storage = Object.assign(memoryStorage(), {
      commit: async (flush: unknown) => {
        flushes.push(flush);
        return { kind: "ok", fenced: [] } as const;
      },
    });
    const refuses = ({ output }: TaskRecord) => (output === "bad" ? "it is bad" : undefined);
    const storage = refusingStorage(inner, refuses);
    const record = (task: string, output: string) => ({ runId: "run", task, index: [2], output });
    const flush = (...tasks: object[]) => ({ id: "1", engineId: "e", runs: [{ runId: "run", tasks }] }) as never;
    expect(await storage.commit(flush(record("a", "good"), record("b", "bad")))).toEqual({
      kind: "rejected",
      values: [{ runId: "run", task: "b", index: [2], message: "it is bad" }],
    });
    expect(flushes).toHaveLength(0);
    expect(await storage.commit(flush(record("a", "good")))).toEqual({ kind: "ok", fenced: [] });
    expect(flushes).toHaveLength(1);
  });
});
