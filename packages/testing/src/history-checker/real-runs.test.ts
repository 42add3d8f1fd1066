import { describe, expect, it } from "vitest";
import { memoryStorage, NonRetryableError, type Pipeline, pipeline, SkipTask } from "weftline";
import { createTestEngine } from "../test-engine.js";
import { checkHistory, type Verdict } from "./check-history.js";
import type { Evidence } from "./history.js";
import { recordingStorage } from "./recording-storage.js";
import { shapesOf } from "./shape-of.js";
import { finalStateOf, historiesOf } from "./stored-history.js";

const START = Date.UTC(2026, 0, 1);

/** One engine on a recorded storage, and what the checker makes of what it did. */
function recorded(...pipelines: Pipeline[]) {
  const recording = recordingStorage(memoryStorage());
  const test = createTestEngine({ pipelines, storage: recording.storage });
  const ids = async () => (await recording.storage.list("runs", {}, { limit: 1_000 })).items.map(({ id }) => id);
  const evidence = async (): Promise<Evidence> => ({
    source: "recorded",
    history: recording.history,
    witness: [],
    clients: [],
    faults: [],
    shapes: shapesOf(pipelines),
    final: await finalStateOf(recording.storage, test.clock.now()),
  });
  const afterwards = async (): Promise<Evidence> => {
    const { history, runs, shapes } = await historiesOf(recording.storage, await ids());
    const final = { at: test.clock.now(), runs };
    return { source: "stored", history, witness: [], clients: [], faults: [], shapes, final };
  };
  return { test, evidence, afterwards };
}

function times({ checked }: Verdict, invariant: number): number {
  return checked.find((one) => one.invariant === invariant)?.times ?? 0;
}

function said({ violations }: Verdict): string[] {
  return violations.map(({ invariant, why }) => `${invariant}: ${why}`);
}

async function passes(world: ReturnType<typeof recorded>, ...invariants: number[]): Promise<Verdict> {
  const verdict = checkHistory(await world.evidence());
  expect(said(verdict)).toEqual([]);
  for (const invariant of invariants)
    expect.soft(times(verdict, invariant), `invariant ${invariant}`).toBeGreaterThan(0);
  const afterwards = checkHistory(await world.afterwards());
  expect(said(afterwards)).toEqual([]);
  await world.test.stop();
  return verdict;
}

describe("checkHistory() on what the engine did", () => {
  it("finds nothing in diamonds, rules, failures and skips", async () => {
    const diamond = pipeline("diamond", {}, (p) => {
      const a = p.task("a", () => 1);
      const b = p.task("b", { needs: { a } }, () => 2);
      const c = p.task("c", { needs: { a }, allowFailure: true }, () => {
        throw new NonRetryableError("no");
      });
      const skipped = p.task("skips", { after: [a] }, () => {
        throw new SkipTask();
      });
      p.task("one", { after: [b, c], triggerRule: "one-success" }, () => 1);
      p.task("unreached", { after: [c] }, () => 1);
      p.task("passed-over", { after: [skipped] }, () => 1);
      p.task("done", { after: [b, c, skipped], triggerRule: "all-done" }, () => 1);
    });
    const world = recorded(diamond);
    await world.test.run(diamond);
    await passes(world, 1, 2, 3, 4, 5, 9, 10, 13, 14, 15, 22, 24, 40);
  });

  it("finds nothing in retries, branches, sleeps and maps", async () => {
    let tries = 0;
    const busy = pipeline("busy", {}, (p) => {
      const flaky = p.task("flaky", { retry: { attempts: 3, delay: "10s" } }, () => {
        if (++tries < 3) throw new Error("again");
        return [1, 2, 3];
      });
      const each = p.map("each", { over: flaky }, ({ item }) => item * 2);
      p.map("none", { over: [] as number[], after: [flaky] }, () => 1);
      const pause = p.sleep("pause", { after: [each], for: "1h" });
      const gate = p.branch("gate", { after: [pause] }, (): "left" | "right" => "left");
      p.task("left", { after: [gate.when("left")] }, () => 1);
      const right = p.task("right", { after: [gate.when("right")] }, () => 1);
      p.task("both", { after: [right], triggerRule: "none-failed" }, () => 1);
      p.signal("word", {});
    });
    const world = recorded(busy);
    const run = await world.test.trigger(busy);
    await world.test.waitFor(run, { task: "word", status: "waiting" });
    await run.signal("word", undefined);
    await world.test.finish(run);
    await passes(world, 1, 2, 3, 4, 5, 9, 11, 13, 34, 35);
  });

  it("finds nothing in groups that are retried, mapped and nested", async () => {
    let tries = 0;
    const grouped = pipeline("grouped", {}, (p) => {
      const list = p.task("list", () => [1, 2, 3]);
      p.group("again", { retry: { attempts: 2, delay: "1s" } }, (g) => {
        const first = g.task("first", () => 1);
        g.task("second", { needs: { first } }, () => {
          if (++tries < 2) throw new Error("again");
          return 1;
        });
      });
      p.group("each", { over: list }, (g) => {
        const one = g.task("one", () => [1, 2]);
        g.map("inner", { over: one }, () => 1);
        g.group("deep", {}, (d) => void d.task("leaf", { after: [one] }, () => 1));
      });
    });
    const world = recorded(grouped);
    await world.test.run(grouped);
    await passes(world, 1, 2, 3, 4, 5, 9, 11);
  });

  it("finds nothing in cancel, resume and rerun", async () => {
    let isBroken = true;
    const mended = pipeline("mended", {}, (p) => {
      const a = p.task("a", () => 1);
      const b = p.task("b", { needs: { a } }, () => {
        if (isBroken) throw new NonRetryableError("no");
        return 2;
      });
      p.task("c", { needs: { b } }, () => 3);
    });
    const waits = pipeline("waits", {}, (p) => {
      const word = p.signal("word", {});
      p.task("after", { after: [word] }, () => 1);
    });
    const world = recorded(mended, waits);
    const run = await world.test.run(mended);
    isBroken = false;
    await world.test.runs.resume(run.id);
    await world.test.finish(run);
    await world.test.runs.rerun(run.id, { from: "b" });
    await world.test.finish(run);
    const cancelled = await world.test.trigger(waits);
    await world.test.waitFor(cancelled, { task: "word", status: "waiting" });
    await cancelled.cancel();
    await world.test.finish(cancelled);
    const verdict = await passes(world, 3, 9, 12);
    expect(verdict.coverage).toMatchObject({ resumes: 1, reruns: 1, cancels: 1 });
  });

  it("finds nothing when another engine takes a dead one's runs over, and counts what happened", async () => {
    const inner = memoryStorage();
    let now = START;
    const recording = recordingStorage(inner, { now: () => now });
    const chain = pipeline("chain", {}, (p) => {
      const a = p.task("a", () => 1);
      const wait = p.sleep("wait", { after: [a], for: "1h" });
      p.task("b", { after: [wait] }, () => 2);
    });
    const log = { debug() {}, info() {}, warn() {}, error() {} }; // the first engine notices that it was declared dead
    const options = { pipelines: [chain], storage: recording.storage, log };
    const first = createTestEngine({ ...options, now: START });
    const run = await first.trigger(chain);
    await first.waitFor(run, { task: "wait", status: "waiting" });
    await recording.storage.releaseLease(first.engine.id);
    now = START + 1_800_000;
    const second = createTestEngine({ ...options, now });
    await second.start();
    now = START + 3_600_000;
    await second.finish(run.id);
    const final = await finalStateOf(recording.storage, now);
    const evidence = { ...{ witness: [], clients: [], faults: [] }, shapes: shapesOf([chain]), final };
    const verdict = checkHistory(
      { source: "recorded", history: recording.history, ...evidence },
      { claims: ["takeovers"] },
    );
    expect(said(verdict)).toEqual([]);
    expect(verdict.outcome).toBe("passed");
    for (const invariant of [14, 15, 19, 20, 21, 35])
      expect.soft(times(verdict, invariant), String(invariant)).toBeGreaterThan(0);
    await second.stop();
    await first.stop();
  });

  it("calls it vacuous when nothing of what is claimed has happened", async () => {
    const plain = pipeline("plain", {}, (p) => void p.task("a", () => 1));
    const world = recorded(plain);
    await world.test.run(plain);
    const verdict = checkHistory(await world.evidence(), { claims: ["runs", "takeovers"] });
    expect(verdict).toMatchObject({ outcome: "vacuous", missing: ["takeovers"] });
    await world.test.stop();
  });
});
