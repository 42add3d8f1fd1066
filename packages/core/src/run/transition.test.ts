import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pipeline } from "../define/pipeline.js";
import { RunDriver, randomPipeline, randomSteps, randomTasks } from "../test-support/random-runs.js";
import { ReferenceRun } from "../test-support/reference-run.js";
import { type Begun, begun, begunRunOf, stateOf } from "../test-support/run-states.js";
import { BY_ITEMS, BY_STOP, noEffects } from "./effects.js";
import { runOutcome } from "./outcome.js";
import { isFinal, PENDING, READY, RETRYING, RUNNING, UPSTREAM_COUNTERS } from "./state.js";
import {
  adopt,
  begin,
  cancelInstance,
  cancelled,
  expand,
  fail,
  interrupt,
  retryLater,
  retryNow,
  skip,
  start,
  stop,
  succeed,
} from "./transition.js";

const CHAIN_LENGTH = 50_000;

const CHAIN = pipeline("chain", (p) => {
  let last = p.task("t0", () => 1);
  for (let n = 1; n < CHAIN_LENGTH; n++) last = p.task(`t${n}`, { after: [last] }, () => 1);
});

/** Starts an instance and brings it to its end. */
function end(run: Begun, task: string, how: typeof fail, item?: number): void {
  start(run.state, run.at(task, item));
  how(run.state, run.at(task, item), run.effects);
}

/** Starts a branch and lets it choose. */
function choose(run: Begun, branch: string, choice: string): void {
  start(run.state, run.at(branch));
  succeed(run.state, run.at(branch), run.effects, choice);
}

describe("begin()", () => {
  it("makes every task without upstream ready, and every task under always", () => {
    const run = begun((p) => {
      const a = p.task("a", () => 1);
      p.task("b", { needs: { a } }, () => 1);
      p.task("c", { needs: { a }, triggerRule: "always" }, () => 1);
      p.map("d", { over: [1], triggerRule: "all-failed" }, () => 1);
    });
    expect(run.statuses()).toEqual({ a: "ready", b: "pending", c: "ready", d: "ready" });
    expect(run.effects).toMatchObject({ ready: [0, 2], expand: [3], finished: [] });
  });

  it("settles what cannot run any more, with everything that follows from it", () => {
    const run = begun((p) => {
      const a = p.task("a", () => 1);
      const b = p.task("b", { needs: { a }, triggerRule: "all-failed" }, () => 1);
      const c = p.task("c", { needs: { b } }, () => 1);
      p.task("d", { needs: { c }, triggerRule: "all-done" }, () => 1);
    });
    run.state.status[run.at("a")] = 5; // as restored: it succeeded, and what that means was not recorded
    run.state.upstream[run.at("b") * UPSTREAM_COUNTERS] = 1;
    run.state.open = 3;
    const effects = noEffects();
    begin(run.state, effects);
    expect(run.statuses()).toEqual({ a: "succeeded", b: "skipped", c: "skipped", d: "ready" });
    expect(effects).toMatchObject({ ready: [3], finished: [1, BY_STOP, 2, 1] });
    expect(run.state.open).toBe(1);
  });
});

describe("succeed(), fail() and skip()", () => {
  const chain = () =>
    begun((p) => {
      const a = p.task("a", () => 1);
      const b = p.task("b", { needs: { a } }, () => 1);
      const c = p.task("c", { needs: { b } }, () => 1);
      p.task("d", { needs: { c }, triggerRule: "all-done" }, () => 1);
    });

  it("start what was waiting for them", () => {
    const run = chain();
    end(run, "a", succeed);
    expect(run.statuses()).toEqual({ a: "succeeded", b: "ready", c: "pending", d: "pending" });
    expect(run.effects.ready).toEqual([0, 1]);
  });

  it("fail everything downstream that needs them, and name the cause of each", () => {
    const run = chain();
    end(run, "a", fail);
    expect(run.statuses()).toEqual({ a: "failed", b: "upstream-failed", c: "upstream-failed", d: "ready" });
    expect(run.effects.finished).toEqual([1, 0, 2, 1]);
  });

  it("skip everything downstream that needs them", () => {
    const run = chain();
    end(run, "a", skip);
    expect(run.statuses()).toEqual({ a: "skipped", b: "skipped", c: "skipped", d: "ready" });
    expect(run.effects.finished).toEqual([1, 0, 2, 1]);
  });

  it("change nothing about what has finished", () => {
    const run = chain();
    end(run, "a", succeed);
    fail(run.state, run.at("a"), run.effects);
    cancelled(run.state, run.at("a"), run.effects);
    expect(run.statuses()).toEqual({ a: "succeeded", b: "ready", c: "pending", d: "pending" });
    expect(run.state.open).toBe(3);
  });

  it.each([
    ["failed", fail, "upstream-failed"],
    ["skipped", skip, "skipped"],
  ] as const)("F144 go down a chain of 50,000 tasks without recursion: %s", (_, how, status) => {
    const run = begunRunOf(CHAIN);
    end(run, "t0", how);
    expect(run.state.open).toBe(0);
    expect(run.state.statusOf(CHAIN_LENGTH - 1)).toBe(status);
    expect(run.effects.finished).toHaveLength((CHAIN_LENGTH - 1) * 2);
  });

  it("F144 run a chain of 50,000 tasks through", () => {
    const run = begunRunOf(CHAIN);
    for (let task = 0; task < CHAIN_LENGTH; task++) {
      start(run.state, task);
      succeed(run.state, task, run.effects);
    }
    expect(run.state.open).toBe(0);
    expect(run.effects.ready).toHaveLength(CHAIN_LENGTH);
  });

  it("F145 join a fan-out of 100,000 tasks once", { timeout: 30_000 }, () => {
    const width = 100_000;
    const run = begun((p) => {
      const root = p.task("root", () => 1);
      const parts = Array.from({ length: width }, (_, n) => p.task(`t${n}`, { after: [root] }, () => 1));
      p.task("join", { after: parts }, () => 1);
    });
    end(run, "root", succeed);
    expect(run.effects.ready).toHaveLength(width + 1);
    let early = 0;
    for (let task = 1; task <= width; task++) {
      if (run.state.status[width + 1] !== PENDING) early++;
      start(run.state, task);
      succeed(run.state, task, run.effects);
    }
    expect(early).toBe(0);
    expect(run.state.status[width + 1]).toBe(READY);
    expect(run.effects.ready).toHaveLength(width + 2);
  });
});

describe("a branch", () => {
  it("runs the path it chose and skips the others", () => {
    const run = begun((p) => {
      const gate = p.branch("gate", {}, () => "left");
      const left = p.task("left", { after: [gate.when("left")] }, () => 1);
      const right = p.task("right", { after: [gate.when("right" as "left")] }, () => 1);
      p.task("after-left", { needs: { left } }, () => 1);
      p.task("after-right", { needs: { right } }, () => 1);
      p.task("always-after", { after: [gate] }, () => 1);
      p.task("join", { after: [left, right], triggerRule: "none-failed-min-one-success" }, () => 1);
    });
    choose(run, "gate", "left");
    end(run, "left", succeed);
    expect(run.statuses()).toEqual({
      gate: "succeeded",
      left: "succeeded",
      right: "skipped",
      "after-left": "ready",
      "after-right": "skipped",
      "always-after": "ready",
      join: "ready",
    });
  });

  it("skips every path when no path has the name it chose", () => {
    const run = begun((p) => {
      const gate = p.branch("gate", {}, () => "left");
      p.task("left", { after: [gate.when("left")] }, () => 1);
    });
    choose(run, "gate", "elsewhere");
    expect(run.statuses()).toEqual({ gate: "succeeded", left: "skipped" });
  });

  it("runs a task that several of its choices lead to", () => {
    const both = () =>
      begun((p) => {
        const gate = p.branch("gate", {}, () => "a" as "a" | "b" | "c");
        p.task("a-or-b", { after: [gate.when("a"), gate.when("b")] }, () => 1);
      });
    for (const [choice, status] of [
      ["a", "ready"],
      ["b", "ready"],
      ["c", "skipped"],
    ] as const) {
      const run = both();
      choose(run, "gate", choice);
      expect(run.statuses(), choice).toEqual({ gate: "succeeded", "a-or-b": status });
    }
  });

  it("lets a task that the chosen path reaches too run by its own rule", () => {
    const run = begun((p) => {
      const gate = p.branch("gate", {}, () => "long" as "long" | "short");
      const first = p.task("first", { after: [gate.when("long")] }, () => 1);
      const second = p.task("second", { needs: { first } }, () => 1);
      p.task("end", { after: [second, gate.when("short")] }, () => 1);
      p.task("elsewhere", { after: [gate.when("short")] }, () => 1);
    });
    choose(run, "gate", "long");
    expect(run.statuses()).toMatchObject({ first: "ready", end: "pending", elsewhere: "skipped" });
    end(run, "first", succeed);
    end(run, "second", succeed);
    expect(run.statuses()).toMatchObject({ end: "ready" });
  });

  it("skips such a task when the branch goes the direct way", () => {
    const run = begun((p) => {
      const gate = p.branch("gate", {}, () => "long" as "long" | "short");
      const first = p.task("first", { after: [gate.when("long")] }, () => 1);
      p.task("end", { after: [first, gate.when("short")] }, () => 1);
      p.task("any", { after: [first, gate.when("short")], triggerRule: "one-success" }, () => 1);
    });
    choose(run, "gate", "short");
    expect(run.statuses()).toEqual({ gate: "succeeded", first: "skipped", end: "skipped", any: "ready" });
  });

  it("keeps a condition also where the same branch is needed for its output", () => {
    const run = begun((p) => {
      const gate = p.branch("gate", {}, () => "a" as "a" | "b");
      p.task("a", { needs: { gate }, after: [gate.when("a")] }, () => 1);
    });
    choose(run, "gate", "b");
    expect(run.statuses()).toEqual({ gate: "succeeded", a: "skipped" });
  });

  it("is skipped with all its paths when it lies on a path that was not chosen", () => {
    const run = begun((p) => {
      const outer = p.branch("outer", {}, () => "in" as "in" | "out");
      const inner = p.branch("inner", { after: [outer.when("in")] }, () => "x" as "x" | "y");
      p.task("x", { after: [inner.when("x")] }, () => 1);
      p.task("y", { after: [inner.when("y")] }, () => 1);
      p.task("out", { after: [outer.when("out")] }, () => 1);
    });
    choose(run, "outer", "out");
    expect(run.statuses()).toEqual({ outer: "succeeded", inner: "skipped", x: "skipped", y: "skipped", out: "ready" });
  });

  it("fails and skips its paths like any other task", () => {
    const make = () =>
      begun((p) => {
        const gate = p.branch("gate", {}, () => "a");
        p.task("a", { after: [gate.when("a")] }, () => 1);
      });
    const failed = make();
    end(failed, "gate", fail);
    expect(failed.statuses()).toEqual({ gate: "failed", a: "upstream-failed" });
    const skipped = make();
    end(skipped, "gate", skip);
    expect(skipped.statuses()).toEqual({ gate: "skipped", a: "skipped" });
  });
});

describe("a map", () => {
  const mapped = (items: number) => {
    const run = begun((p) => {
      const list = p.task("list", () => [1]);
      const map = p.map("map", { over: list }, () => 1);
      p.task("join", { needs: { map } }, () => 1);
      p.task("cleanup", { needs: { map }, triggerRule: "all-done" }, () => 1);
    });
    end(run, "list", succeed);
    expect(run.effects.expand).toEqual([1]);
    expand(run.state, run.at("map"), items, run.effects);
    return run;
  };

  it("makes its items ready when its list is known", () => {
    const run = mapped(3);
    expect(run.statuses()).toEqual({ list: "succeeded", map: "running", join: "pending", cleanup: "pending" });
    expect([0, 1, 2].map((item) => run.state.status[run.at("map", item)])).toEqual([READY, READY, READY]);
    expect(run.state.instances).toBe(4 + 3);
  });

  it("F146 is skipped when its list is empty, and what comes after goes by its rule", () => {
    const run = mapped(0);
    expect(run.statuses()).toEqual({ list: "succeeded", map: "skipped", join: "skipped", cleanup: "ready" });
    expect(run.effects.finished.slice(0, 2)).toEqual([1, BY_ITEMS]);
  });

  it.each([
    ["succeeds when all items did", [succeed, succeed, succeed], "succeeded"],
    ["succeeds without the items that were skipped", [skip, succeed, skip], "succeeded"],
    ["is skipped when all items were", [skip, skip, skip], "skipped"],
    ["fails when one item failed", [succeed, fail, succeed], "failed"],
    ["fails when all other items were skipped or cancelled", [skip, fail, cancelled], "failed"],
    ["is cancelled when an item was and none failed", [succeed, cancelled, skip], "cancelled"],
  ] as const)("%s", (_, ends, status) => {
    const run = mapped(3);
    for (const [item, how] of ends.entries()) {
      expect(run.statuses()).toMatchObject({ map: "running", join: "pending" });
      expect(run.effects.finished).toEqual([]);
      end(run, "map", how, item);
    }
    expect(run.statuses()).toMatchObject({ map: status });
    expect(run.effects.finished.slice(0, 2)).toEqual([1, BY_ITEMS]);
    const join = { succeeded: "ready", skipped: "skipped", failed: "upstream-failed", cancelled: "upstream-failed" };
    expect(run.statuses()).toMatchObject({ join: join[status], cleanup: "ready" });
  });

  it("counts as one upstream task", () => {
    const run = begun((p) => {
      const map = p.map("map", { over: [1, 2] }, () => 1);
      const one = p.task("one", () => 1);
      p.task("join", { needs: { map, one } }, () => 1);
    });
    expand(run.state, run.at("map"), 2, run.effects);
    end(run, "map", succeed, 0);
    end(run, "one", succeed);
    expect(run.statuses()).toMatchObject({ join: "pending" });
    end(run, "map", succeed, 1);
    expect(run.statuses()).toMatchObject({ join: "ready" });
  });

  it("F148 joins exactly the items it was expanded to, however many", () => {
    const count = 100_000;
    const run = mapped(count);
    let early = 0;
    for (let item = 0; item < count; item++) {
      if (run.state.status[1] !== RUNNING) early++;
      end(run, "map", succeed, item);
    }
    expect(early).toBe(0);
    expect(run.statuses()).toMatchObject({ map: "succeeded", join: "ready" });
    expect(run.state.expansions.get(1)).toMatchObject({ count, succeeded: count, open: 0, failed: 0, cancelled: 0 });
  });

  it("keeps its items apart from those of other maps, in whatever order they are expanded", () => {
    const run = begun((p) => {
      for (const id of ["a", "b", "c", "d"]) p.map(id, { over: [] as number[] }, () => 1);
    });
    for (const [id, count] of [
      ["c", 2],
      ["a", 0],
      ["d", 3],
      ["b", 1],
    ] as const) {
      expand(run.state, run.at(id), count, run.effects);
    }
    const owners = Array.from({ length: 6 }, (_, item) => run.state.positionOf(4 + item));
    expect(owners).toEqual([2, 2, 3, 3, 3, 1]);
    end(run, "d", fail, 1);
    expect(run.state.expansions.get(3)).toMatchObject({ failed: 1, open: 2 });
    expect(run.state.expansionOf(3)).toBeUndefined();
  });
});

describe("retries", () => {
  it("count attempts from the start or the last resume, interrupted ones left out", () => {
    const run = begun((p) => void p.task("a", () => 1));
    expect(start(run.state, 0)).toBe(1);
    retryLater(run.state, 0, 500);
    expect(run.statuses()).toEqual({ a: "retrying" });
    expect(run.state.retryAt.get(0)).toBe(500);
    expect(retryNow(run.state, 0)).toBe(true);
    expect(run.state.retryAt.size).toBe(0);
    expect(start(run.state, 0)).toBe(2);
    interrupt(run.state, 0);
    expect(run.statuses()).toEqual({ a: "ready" });
    expect(start(run.state, 0)).toBe(3);
    expect(run.state.countedAttempts(0)).toBe(2);
  });

  it("do not start again what has finished meanwhile", () => {
    const run = begun((p) => void p.task("a", () => 1));
    start(run.state, 0);
    retryLater(run.state, 0, 500);
    cancelInstance(run.state, 0, run.effects);
    expect(retryNow(run.state, 0)).toBe(false);
    expect(run.statuses()).toEqual({ a: "cancelled" });
  });

  it.each([
    ["cancelInstance()", (run: Begun) => cancelInstance(run.state, 0, run.effects)],
    ["stop()", (run: Begun) => stop(run.state, "cancelled", run.effects)],
    ["fail()", (run: Begun) => fail(run.state, 0, run.effects)],
  ])("leave no due time behind when %s ends the waiting", (_, finish) => {
    const run = begun((p) => void p.task("a", () => 1));
    start(run.state, 0);
    retryLater(run.state, 0, 500);
    finish(run);
    expect(run.state.retryAt.size).toBe(0);
  });

  it("go on as they were when an attempt is adopted", () => {
    const run = begun((p) => void p.task("a", () => 1));
    start(run.state, 0);
    retryLater(run.state, 0, 500);
    adopt(run.state, 0, 2);
    expect(run.statuses()).toEqual({ a: "running" });
    expect(run.state.attempts[0]).toBe(2);
    expect(run.state.retryAt.size).toBe(0);
  });
});

describe("cancelInstance()", () => {
  const line = () =>
    begun((p) => {
      const a = p.task("a", () => 1);
      const b = p.task("b", { needs: { a } }, () => 1);
      p.task("c", { needs: { b } }, () => 1);
      p.task("d", { needs: { b }, triggerRule: "one-failed" }, () => 1);
    });

  it("cancels what does not run, and fails what needs it", () => {
    const run = line();
    cancelInstance(run.state, run.at("b"), run.effects);
    expect(run.statuses()).toEqual({ a: "ready", b: "cancelled", c: "upstream-failed", d: "ready" });
    expect(run.effects.abort).toEqual([]);
    expect(run.effects.finished).toEqual([1, BY_STOP, 2, 1]);
  });

  it("aborts what runs, which is cancelled once it has ended", () => {
    const run = line();
    start(run.state, run.at("a"));
    cancelInstance(run.state, run.at("a"), run.effects);
    expect(run.statuses()).toMatchObject({ a: "running", b: "pending" });
    expect(run.effects.abort).toEqual([0]);
    cancelled(run.state, run.at("a"), run.effects);
    expect(run.statuses()).toMatchObject({ a: "cancelled", b: "upstream-failed" });
  });

  it("does nothing to what has finished", () => {
    const run = line();
    end(run, "a", succeed);
    cancelInstance(run.state, run.at("a"), run.effects);
    expect(run.statuses()).toMatchObject({ a: "succeeded", b: "ready" });
    expect(run.effects).toMatchObject({ abort: [], finished: [] });
  });

  it("cancels a map item by item", () => {
    const run = begun((p) => void p.map("map", { over: [1, 2, 3, 4] }, () => 1));
    expand(run.state, 0, 4, run.effects);
    end(run, "map", succeed, 0);
    start(run.state, run.at("map", 1));
    start(run.state, run.at("map", 2));
    retryLater(run.state, run.at("map", 2), 1);
    cancelInstance(run.state, 0, run.effects);
    expect(run.effects.abort).toEqual([run.at("map", 1)]);
    expect(run.statuses()).toEqual({ map: "running" });
    cancelled(run.state, run.at("map", 1), run.effects);
    expect(run.statuses()).toEqual({ map: "cancelled" });
    expect(run.state.expansions.get(0)).toMatchObject({ succeeded: 1, cancelled: 3, open: 0 });
  });

  it("cancels a map that is not expanded yet", () => {
    const run = begun((p) => void p.map("map", { over: [1, 2] }, () => 1));
    cancelInstance(run.state, 0, run.effects);
    expect(run.statuses()).toEqual({ map: "cancelled" });
    expect(run.state.open).toBe(0);
  });
});

describe("stop()", () => {
  it("cancels everything that has not finished and aborts what runs, without starting anything", () => {
    const run = begun((p) => {
      const a = p.task("a", () => 1);
      p.task("b", () => 1);
      p.task("c", { needs: { a } }, () => 1);
      p.task("d", { needs: { a }, triggerRule: "one-failed" }, () => 1);
      const e = p.map("e", { over: [1, 2] }, () => 1);
      p.task("f", { needs: { e } }, () => 1);
    });
    start(run.state, run.at("a"));
    expand(run.state, run.at("e"), 2, run.effects);
    run.effects.ready.length = 0;
    stop(run.state, "cancelled", run.effects);
    expect(run.statuses()).toEqual({
      ...{ a: "running", b: "cancelled", c: "cancelled", d: "cancelled" },
      ...{ e: "cancelled", f: "cancelled" },
    });
    expect(run.effects).toMatchObject({ abort: [0], ready: [] });
    cancelled(run.state, run.at("a"), run.effects);
    expect(run.state.open).toBe(0);
    expect(run.effects.ready).toEqual([]);
  });

  it("aborts the running items of a map, which ends with the last of them", () => {
    const run = begun((p) => {
      const map = p.map("map", { over: [1, 2, 3] }, () => 1);
      p.task("alert", { needs: { map }, triggerRule: "one-failed" }, () => 1);
    });
    expand(run.state, run.at("map"), 3, run.effects);
    end(run, "map", succeed, 0);
    start(run.state, run.at("map", 2));
    stop(run.state, "cancelled", run.effects);
    expect(run.effects.abort).toEqual([run.at("map", 2)]);
    expect(run.statuses()).toEqual({ map: "running", alert: "cancelled" });
    cancelled(run.state, run.at("map", 2), run.effects);
    expect(run.statuses()).toEqual({ map: "cancelled", alert: "cancelled" });
    expect(run.state.open).toBe(0);
    expect(run.effects.ready).toEqual([]);
  });

  it("keeps its first cause", () => {
    const run = begun((p) => void p.task("a", () => 1));
    start(run.state, 0);
    stop(run.state, "timeout", run.effects);
    stop(run.state, "cancelled", run.effects);
    expect(run.state.stopping).toBe("timeout");
    expect(run.effects.abort).toEqual([0]);
  });

  it("F144 stops 50,000 waiting tasks without recursion", () => {
    const run = begunRunOf(CHAIN);
    stop(run.state, "cancelled", run.effects);
    expect(run.state.open).toBe(0);
    expect(run.statuses().t49999).toBe("cancelled");
  });
});

describe("runOutcome()", () => {
  const make = (options: { allowFailure?: boolean } = {}) =>
    begun((p) => {
      const a = p.task("a", options, () => 1);
      p.task("cleanup", { needs: { a }, triggerRule: "all-done" }, () => 1);
    });

  it.each([
    ["all succeeded", succeed, succeed, "succeeded", "succeeded"],
    ["a task in the middle failed", fail, succeed, "failed", "succeeded"],
    ["a leaf failed", succeed, fail, "failed", "failed"],
    ["tasks were skipped", skip, skip, "succeeded", "succeeded"],
  ] as const)("%s", (_, a, cleanup, any, leaves) => {
    const run = make();
    end(run, "a", a);
    end(run, "cleanup", cleanup);
    expect(runOutcome(run.state, "any")).toBe(any);
    expect(runOutcome(run.state, "leaves")).toBe(leaves);
  });

  it("forgives what was allowed to fail", () => {
    const run = make({ allowFailure: true });
    end(run, "a", fail);
    end(run, "cleanup", succeed);
    expect(runOutcome(run.state, "any")).toBe("succeeded");
  });

  it("counts a leaf that failed because of its upstream under leaves alone", () => {
    const run = begun((p) => {
      const a = p.task("a", { allowFailure: true }, () => 1);
      p.task("b", { needs: { a } }, () => 1);
    });
    end(run, "a", fail);
    expect(run.statuses()).toEqual({ a: "failed", b: "upstream-failed" });
    expect(runOutcome(run.state, "any")).toBe("succeeded");
    expect(runOutcome(run.state, "leaves")).toBe("failed");
  });

  it("counts a task that somebody cancelled as failed", () => {
    const run = make();
    cancelInstance(run.state, run.at("a"), run.effects);
    end(run, "cleanup", succeed);
    expect(runOutcome(run.state, "any")).toBe("failed");
    expect(runOutcome(run.state, "leaves")).toBe("succeeded");
  });

  it.each([
    ["cancelled", "cancelled"],
    ["timeout", "failed"],
    ["fail-fast", "failed"],
  ] as const)("is decided by what stopped the run: %s", (cause, status) => {
    const run = make({ allowFailure: true });
    stop(run.state, cause, run.effects);
    expect(runOutcome(run.state, "any")).toBe(status);
    expect(runOutcome(run.state, "leaves")).toBe(status);
  });
});

describe("any run", () => {
  const moves = ["finish", "finish", "finish", "start", "start", "cancel-task"] as const;

  it.each([
    ["whatever its tasks do", [...moves]],
    ["also when it is stopped", [...moves, "stop"] as const],
  ])("F151 ends with every task final, as the reference says, %s", (_, allowed) => {
    fc.assert(
      fc.property(
        randomTasks(9),
        randomSteps(allowed),
        fc.nat({ max: 1_000 }),
        fc.constantFrom("any" as const, "leaves" as const),
        (tasks, steps, pick, failWhen) => {
          const state = stateOf(randomPipeline(tasks, failWhen));
          const reference = new ReferenceRun(tasks);
          const before: number[] = [];
          const driver = new RunDriver(tasks, state, {
            finished: (task, status, choice) => reference.finish(task, status, choice),
            stopped: () => reference.stop("cancelled"),
            changed: () => {
              for (const task of tasks.keys()) {
                const status = state.status[task]!;
                if (isFinal(before[task] ?? 0)) expect(status, "a final status stays").toBe(before[task]);
                const expected = isFinal(status) ? state.statusOf(task) : undefined;
                expect(reference.statuses[task], `task ${task}`).toBe(expected);
                const mayRun = status === READY || status === RUNNING || status === RETRYING;
                if (mayRun) expect(reference.started.has(task), `task ${task} may run`).toBe(true);
                before[task] = status;
              }
              expect(state.open).toBe(reference.statuses.filter((status) => status === undefined).length);
            },
          });
          driver.begin();
          for (const step of steps) driver.do(step);
          driver.finish(pick);
          expect(runOutcome(state, failWhen)).toBe(reference.outcome(failWhen));
          expect(new Set(driver.asked).size, "nothing is started twice").toBe(driver.asked.length);
          for (const [task, inDegree] of state.plan.inDegree.entries()) {
            const counters = state.upstream.subarray(task * UPSTREAM_COUNTERS, (task + 1) * UPSTREAM_COUNTERS);
            expect(counters.reduce((sum, count) => sum + count, 0)).toBe(inDegree);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it("ends the same for two orders of the same ends, as long as every rule waits for all", () => {
    fc.assert(
      fc.property(randomTasks(9), fc.nat({ max: 1_000 }), fc.nat({ max: 1_000 }), (tasks, one, other) => {
        const patient = tasks.map((task) => ({ ...task, rule: "all-done" as const }));
        const ends = [one, other].map((pick) => {
          const driver = new RunDriver(patient, stateOf(randomPipeline(patient)));
          driver.begin();
          driver.finish(pick);
          return patient.map((_, task) => driver.state.statusOf(task));
        });
        expect(ends[0]).toEqual(ends[1]);
      }),
    );
  });
});
