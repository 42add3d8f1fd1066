import { readFile } from "node:fs/promises";
import { expect, it, vi } from "vitest";
import { VirtualClock } from "./virtual-clock.js";

const START = Date.UTC(2026, 0, 1);

/** A clock, and what fired on it: names with the milliseconds since its start. */
function recorded() {
  const clock = new VirtualClock(START);
  const fired: string[] = [];
  const note = (name: string) => () => void fired.push(`${name}@${clock.now() - START}`);
  const set = (name: string, afterMs: number) => clock.timer(START + afterMs, note(name));
  return { clock, fired, note, set };
}

it("advance() fires timers in the order of their time, then of their creation, each at its own moment", async () => {
  const { clock, fired, set } = recorded();
  set("c", 30);
  set("a", 10);
  set("d", 30);
  set("b", 20);
  set("later", 1_000);
  await clock.advance("100ms");
  expect(fired).toEqual(["a@10", "b@20", "c@30", "d@30"]);
  expect(clock.now()).toBe(START + 100);
  expect(clock.pendingTimers).toBe(1);
});

it("advance() fires what fired timers set, however deep in promises", async () => {
  const { clock, fired, note, set } = recorded();
  clock.timer(START + 10, () => {
    let deep = Promise.resolve();
    for (let depth = 0; depth < 100; depth++) deep = deep.then(() => undefined);
    void deep.then(() => clock.afterTurn(() => clock.afterTurn(() => set("second", 20))));
  });
  set("third", 30);
  clock.timer(START + 30, () => queueMicrotask(note("microtask")));
  await clock.advance(50);
  expect(fired).toEqual(["second@20", "third@30", "microtask@30"]);
});

it("advance() takes durations and includes the last moment", async () => {
  const { clock, fired, set } = recorded();
  set("a", 60_000);
  await clock.advance("1m");
  expect(fired).toEqual(["a@60000"]);
  await expect((async () => clock.advance("1 minute" as "1m"))()).rejects.toMatchObject({ code: "DURATION_INVALID" });
});

it("advanceTo() takes a Date or a text, and refuses the past", async () => {
  const clock = new VirtualClock("2026-03-01T00:00:00Z");
  await clock.advanceTo(new Date("2026-03-02T00:00:00Z"));
  expect(clock.now()).toBe(Date.UTC(2026, 2, 2));
  await expect(clock.advanceTo("2026-03-01")).rejects.toThrow("Cannot go back in time to 2026-03-01T00:00:00.000Z");
  await expect(clock.advanceTo("soon")).rejects.toThrow(RangeError);
});

it("runUntilIdle() jumps until no timer is left, whatever the distance", async () => {
  const { clock, fired, set } = recorded();
  set("a", 90 * 86_400_000);
  clock.timer(START + 5, () => set("b", 10));
  await clock.runUntilIdle();
  expect(fired).toEqual(["b@10", `a@${90 * 86_400_000}`]);
  expect(clock.pendingTimers).toBe(0);
});

it("runUntilIdle() gives up on endless timers and says so", async () => {
  const { clock } = recorded();
  const again = () => void clock.timer(clock.now() + 1_000, again);
  again();
  await expect(clock.runUntilIdle({ maxTimers: 60 })).rejects.toThrow(
    "Cannot run until idle as timers do not come to an end: 60 fired, and it is 2026-01-01T00:01:01.000Z",
  );
});

it("settle() gives up on work that never rests", async () => {
  const { clock } = recorded();
  let goesOn = true;
  const again = () => goesOn && clock.afterTurn(again);
  again();
  await expect(clock.settle()).rejects.toThrow("goes on for ever");
  goesOn = false;
});

it("timer() fires a moment that is due by itself, never synchronously, in the order of creation", async () => {
  const { clock, fired, set } = recorded();
  set("a", -10);
  set("b", -1_000);
  const clear = set("c", 0);
  clear();
  expect(fired).toEqual([]);
  await vi.waitFor(() => expect(fired).toEqual(["a@0", "b@0"]));
  expect(clock.pendingTimers).toBe(0);
});

it("timer() is taken back by its function, which does nothing afterwards", async () => {
  const { clock, fired, set } = recorded();
  const clearFirst = set("first", 10);
  const clearSecond = set("second", 10);
  clearFirst();
  clearFirst();
  await clock.advance(20);
  clearSecond();
  expect(fired).toEqual(["second@10"]);
});

it("timer() at infinity never fires", async () => {
  const { clock } = recorded();
  clock.timer(Number.POSITIVE_INFINITY, () => expect.unreachable());
  await clock.runUntilIdle();
  expect(clock.pendingTimers).toBe(1);
});

it("two callers may move time at once", async () => {
  const { clock, fired, set } = recorded();
  for (const ms of [10, 20, 30, 40]) set("t", ms);
  await Promise.all([clock.advance(20), clock.advance(40), clock.runUntilIdle()]);
  expect(fired).toEqual(["t@10", "t@20", "t@30", "t@40"]);
  expect(clock.now()).toBe(START + 40);
});

it("a timer that throws rejects the call that fired it, and the clock goes on", async () => {
  const { clock, fired, set } = recorded();
  clock.timer(START + 10, () => {
    throw new Error("boom");
  });
  set("next", 20);
  await expect(clock.advance(100)).rejects.toThrow("boom");
  await clock.advance(100);
  expect(fired).toEqual(["next@20"]);
});

it("sleep() settles when its time has come, or rejects at once when its signal aborts", async () => {
  const { clock, fired, note } = recorded();
  const controller = new AbortController();
  void clock.sleep("1s").then(note("slept"));
  const aborted = clock.sleep("1h", controller.signal).catch((reason: unknown) => String(reason));
  clock.timer(START + 2_000, () => controller.abort("told to stop"));
  await clock.runUntilIdle();
  expect(fired).toEqual(["slept@1000"]);
  expect(await aborted).toBe("told to stop");
  expect(clock.now()).toBe(START + 2_000);
  await expect(clock.sleep(1, AbortSignal.abort("before"))).rejects.toBe("before");
});

it("hold() keeps time where it is while real work is under way", async () => {
  const { clock, fired, note, set } = recorded();
  void clock.hold(readFile(new URL(import.meta.url))).then(note("read"));
  set("timer", 10);
  await clock.advance(20);
  expect(fired).toEqual(["read@0", "timer@10"]);
});

it("hold() lets go of work that waits for the clock itself", async () => {
  const { clock, fired, note, set } = recorded();
  void clock.hold(clock.sleep(10)).then(note("slept"));
  set("timer", 20);
  await clock.runUntilIdle();
  expect(fired).toEqual(["slept@10", "timer@20"]);
});

it("ten thousand timers fire in order within a moment", async () => {
  const { clock } = recorded();
  const moments: number[] = [];
  for (let n = 0; n < 10_000; n++) clock.timer(START + ((n * 7919) % 10_007), () => moments.push(clock.now()));
  await clock.runUntilIdle();
  expect(moments).toHaveLength(10_000);
  expect(moments).toEqual([...moments].sort((a, b) => a - b));
});
