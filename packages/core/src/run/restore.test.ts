import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { TaskRecord } from "../contracts/records.js";
import type { Plan } from "../define/plan.js";
import { taskRecord } from "../engine/task-records.js";
import { RunDriver, randomPipeline, randomSteps, randomTasks } from "../test-support/random-runs.js";
import { type Begun, begun, stateOf } from "../test-support/run-states.js";
import { BY_STOP, noEffects } from "./effects.js";
import { runOutcome } from "./outcome.js";
import { reopen } from "./reopen.js";
import { restore } from "./restore.js";
import { isFinal, READY, type RunState, UPSTREAM_COUNTERS } from "./state.js";
import {
  begin,
  cancelInstance,
  cancelled,
  expand,
  fail,
  retryLater,
  skip,
  start,
  stop,
  succeed,
} from "./transition.js";

const noChoice = (): string => {
  throw new Error("no branch here");
};

function end(run: Begun, task: string, how: typeof fail, item?: number): void {
  start(run.state, run.at(task, item));
  how(run.state, run.at(task, item), run.effects);
}

/** The records of every instance, those nothing happened to included. */
function recordsOf(state: RunState): TaskRecord[] {
  const records = Array.from({ length: state.instances }, (_, instance) =>
    taskRecord("run", state, instance, undefined, undefined, {}),
  );
  return records.sort((a, b) => a.position - b.position || (a.index[0] ?? -1) - (b.index[0] ?? -1));
}

/** Task statuses by position, then those of the items by map. */
function statusesOf(state: RunState): string[] {
  return recordsOf(state).map(({ task, index, status }) => `${[task, ...index].join("/")} ${status}`);
}

describe("restore()", () => {
  const line = () =>
    begun((p) => {
      const a = p.task("a", () => 1);
      p.task("b", { needs: { a } }, () => 1);
    });

  it("makes a state in which nothing has happened from no records", () => {
    const { state } = line();
    const restored = restore(state.plan, [], noChoice);
    expect(statusesOf(restored)).toEqual(["a pending", "b pending"]);
    const effects = noEffects();
    begin(restored, effects);
    expect(effects.ready).toEqual([0]);
  });

  it("takes back what was running, outside its retry budget", () => {
    const run = line();
    start(run.state, 0);
    retryLater(run.state, 0, 1);
    start(run.state, 0);
    const restored = restore(run.state.plan, recordsOf(run.state), noChoice);
    expect(statusesOf(restored)).toEqual(["a ready", "b pending"]);
    expect(restored.attempts[0]).toBe(2);
    expect(restored.countedAttempts(0)).toBe(1);
    expect(start(restored, 0)).toBe(3);
    expect(restored.countedAttempts(0)).toBe(2);
  });

  it("keeps when the next attempt is due, and when the first began", () => {
    const run = line();
    start(run.state, 0);
    retryLater(run.state, 0, 12_345);
    const records = recordsOf(run.state).map((record) => ({ ...record, startedAt: 99 }));
    const restored = restore(run.state.plan, records, noChoice);
    expect(restored.statusOf(0)).toBe("retrying");
    expect(restored.retryAt.get(0)).toBe(12_345);
    expect(restored.firstStartAt.get(0)).toBe(99);
    const over = recordsOf(run.state).map((record) => ({ ...record, startedAt: 99, finishedAt: 100 }));
    expect(restore(run.state.plan, over, noChoice).firstStartAt.size).toBe(0);
  });

  it("knows what branches chose", () => {
    const run = begun((p) => {
      const gate = p.branch("gate", {}, () => "a" as "a" | "b");
      p.task("a", { after: [gate.when("a")], triggerRule: "always" }, () => 1);
      p.task("b", { after: [gate.when("b")] }, () => 1);
    });
    start(run.state, 0);
    succeed(run.state, 0, run.effects, "a");
    const [gate] = recordsOf(run.state);
    const restored = restore(run.state.plan, [gate!], ({ task }) => (task === "gate" ? "a" : noChoice()));
    expect(restored.choices.get(0)).toBe("a");
    const effects = noEffects();
    begin(restored, effects);
    expect(effects).toMatchObject({ ready: [1], finished: [2, BY_STOP] });
    expect(restored.open).toBe(1);
  });

  it("F148 has as many items as were recorded, touched or not", () => {
    const run = begun((p) => {
      const map = p.map("map", { over: [1] }, () => 1);
      p.task("join", { needs: { map } }, () => 1);
    });
    expand(run.state, 0, 5, run.effects);
    end(run, "map", succeed, 1);
    start(run.state, run.at("map", 3));
    const touched = recordsOf(run.state).filter(({ status }) => status !== "ready" && status !== "pending");
    const restored = restore(run.state.plan, touched, noChoice);
    expect(statusesOf(restored)).toEqual([
      "map running",
      ...["map/0 ready", "map/1 succeeded", "map/2 ready", "map/3 ready", "map/4 ready"],
      "join pending",
    ]);
    expect(restored.expansions.get(0)).toMatchObject({ count: 5, open: 4, succeeded: 1 });
  });

  const sameEnd = (tasks: Parameters<typeof randomPipeline>[0], driver: RunDriver, restored: RunDriver) => {
    expect(statusesOf(restored.state)).toEqual(statusesOf(driver.state));
    expect(restored.state.choices).toEqual(new Map([...driver.state.choices].sort(([a], [b]) => a - b)));
    expect(runOutcome(restored.state, "any")).toBe(runOutcome(driver.state, "any"));
    const counters = [driver, restored].map(({ state }) =>
      recordsOf(state).map(({ position, index }) => {
        const instance = state.instanceAt(position, index)!;
        const upstream = state.upstream.subarray(instance * UPSTREAM_COUNTERS, (instance + 1) * UPSTREAM_COUNTERS);
        return [state.countedAttempts(instance), ...upstream];
      }),
    );
    expect(counters[1]).toEqual(counters[0]);
    expect(tasks.length).toBe(restored.state.plan.tasks.length);
  };

  it("at any moment of any run makes a state that ends as the run does", () => {
    const moves = ["finish", "finish", "start", "cancel-task"] as const;
    fc.assert(
      fc.property(randomTasks(9), randomSteps(moves), fc.nat({ max: 1_000 }), (tasks, steps, pick) => {
        const { plan } = randomPipeline(tasks);
        const driver = new RunDriver(tasks, stateOf({ plan }));
        driver.begin();
        for (const step of steps) driver.do(step);
        const taken = restore(plan, driver.records(), ({ position }) => driver.choiceOf(position));
        const restored = new RunDriver(tasks, taken);
        restored.begin();
        expect(restored.state.open).toBe(driver.state.open);
        driver.finish(pick);
        restored.finish(pick);
        sameEnd(tasks, driver, restored);
      }),
      { numRuns: 500 },
    );
  });

  it("does so however often a run is taken over", () => {
    const moves = ["finish", "start"] as const;
    fc.assert(
      fc.property(randomTasks(7), randomSteps(moves), fc.nat({ max: 1_000 }), (tasks, steps, pick) => {
        const { plan } = randomPipeline(tasks);
        const whole = new RunDriver(tasks, stateOf({ plan }));
        let part = new RunDriver(tasks, stateOf({ plan }));
        whole.begin();
        part.begin();
        for (const step of steps) {
          whole.do(step);
          part.do(step);
          part = new RunDriver(
            tasks,
            restore(plan, part.records(), ({ position }) => part.choiceOf(position)),
          );
          part.begin();
        }
        whole.finish(pick);
        part.finish(pick);
        sameEnd(tasks, whole, part);
      }),
      { numRuns: 200 },
    );
  });
});

describe("reopen()", () => {
  /** Opens a finished run again and begins it. */
  function resumed(run: Begun): Begun & { readonly opened: readonly number[] } {
    const opened = reopen(run.state, 2);
    const effects = noEffects();
    begin(run.state, effects);
    return { ...run, effects, opened };
  }

  it("goes on from the point of failure: what succeeded stays", () => {
    const run = begun((p) => {
      const a = p.task("a", () => 1);
      const b = p.task("b", { needs: { a } }, () => 1);
      const c = p.task("c", { needs: { b } }, () => 1);
      p.task("d", { needs: { c } }, () => 1);
    });
    end(run, "a", succeed);
    end(run, "b", fail);
    expect(run.state.open).toBe(0);
    const again = resumed(run);
    expect(again.opened).toEqual([1, 2, 3]);
    expect(again.statuses()).toEqual({ a: "succeeded", b: "ready", c: "pending", d: "pending" });
    expect(again.effects.ready).toEqual([1]);
    for (const id of ["b", "c", "d"]) end(again, id, succeed);
    expect(again.state.open).toBe(0);
    expect(runOutcome(again.state, "any")).toBe("succeeded");
  });

  it("goes on counting attempts, with a fresh retry budget", () => {
    const run = begun((p) => void p.task("a", () => 1));
    start(run.state, 0);
    retryLater(run.state, 0, 1);
    start(run.state, 0);
    fail(run.state, 0, run.effects);
    resumed(run);
    expect(start(run.state, 0)).toBe(3);
    expect(run.state.countedAttempts(0)).toBe(1);
    expect([run.state.retryAt.size, run.state.firstStartAt.size]).toEqual([0, 0]);
  });

  it("reopens what was cancelled, with the run or alone", () => {
    const run = begun((p) => {
      const a = p.task("a", () => 1);
      const b = p.task("b", { needs: { a } }, () => 1);
      p.task("c", { needs: { b } }, () => 1);
      p.map("m", { over: [1] }, () => 1);
    });
    end(run, "a", succeed);
    start(run.state, 1);
    stop(run.state, "cancelled", run.effects);
    cancelled(run.state, 1, run.effects);
    const again = resumed(run);
    expect(again.state.stopping).toBeUndefined();
    expect(again.statuses()).toEqual({ a: "succeeded", b: "ready", c: "pending", m: "ready" });
    expect(again.effects).toMatchObject({ ready: [1], expand: [3] });
  });

  it("reopens what was skipped because of what failed, and nothing that skipped itself", () => {
    const run = begun((p) => {
      const a = p.task("a", () => 1);
      const b = p.task("b", { needs: { a }, triggerRule: "none-skipped" }, () => 1);
      const c = p.task("c", { needs: { b }, triggerRule: "all-skipped" }, () => 1);
      p.task("d", { needs: { c } }, () => 1);
      const e = p.task("e", { needs: { a }, triggerRule: "all-done" }, () => 1);
      p.task("f", { needs: { e } }, () => 1);
    });
    end(run, "a", fail);
    end(run, "b", fail);
    end(run, "e", skip);
    expect(run.statuses()).toEqual({
      a: "failed",
      b: "failed",
      c: "skipped",
      d: "skipped",
      e: "skipped",
      f: "skipped",
    });
    const again = resumed(run);
    expect(again.statuses()).toEqual({
      ...{ a: "ready", b: "pending", c: "pending", d: "pending" },
      ...{ e: "skipped", f: "skipped" },
    });
  });

  it("leaves what ran after a failure under a rule of its own", () => {
    const run = begun((p) => {
      const a = p.task("a", () => 1);
      p.task("alert", { needs: { a }, triggerRule: "one-failed" }, () => 1);
      p.task("cleanup", { needs: { a }, triggerRule: "all-done" }, () => 1);
    });
    end(run, "a", fail);
    end(run, "alert", succeed);
    end(run, "cleanup", succeed);
    const again = resumed(run);
    expect(again.statuses()).toEqual({ a: "ready", alert: "succeeded", cleanup: "succeeded" });
    expect(again.state.open).toBe(1);
    end(again, "a", succeed);
    expect(again.state.open).toBe(0);
  });

  it("settles at once what even a success could not let run", () => {
    const run = begun((p) => {
      const good = p.task("good", () => 1);
      const bad = p.task("bad", () => 1);
      const both = p.task("both-failed", { needs: { good, bad }, triggerRule: "all-failed" }, () => 1);
      p.task("after", { needs: { both } }, () => 1);
    });
    end(run, "good", succeed);
    end(run, "bad", fail);
    const again = resumed(run);
    expect(again.opened).toEqual([1, 2, 3]);
    expect(again.statuses()).toEqual({ good: "succeeded", bad: "ready", "both-failed": "skipped", after: "skipped" });
    end(again, "bad", succeed);
    expect(again.state.open).toBe(0);
  });

  it("reopens the items that did not succeed, one by one, and their map", () => {
    const run = begun((p) => {
      const map = p.map("map", { over: [1] }, () => 1);
      p.task("join", { needs: { map } }, () => 1);
    });
    expand(run.state, 0, 4, run.effects);
    end(run, "map", succeed, 0);
    end(run, "map", fail, 1);
    end(run, "map", skip, 2);
    cancelInstance(run.state, 0, run.effects);
    expect(run.statuses()).toEqual({ map: "failed", join: "upstream-failed" });
    const again = resumed(run);
    expect(statusesOf(again.state)).toEqual([
      "map running",
      ...["map/0 succeeded", "map/1 ready", "map/2 skipped", "map/3 ready"],
      "join pending",
    ]);
    expect(again.effects).toMatchObject({ ready: [], expand: [] });
    expect(again.state.status[again.at("map", 1)]).toBe(READY);
    end(again, "map", succeed, 1);
    end(again, "map", succeed, 3);
    expect(again.statuses()).toEqual({ map: "succeeded", join: "ready" });
  });

  it("expands a map anew that failed before it had items", () => {
    const run = begun((p) => void p.map("map", { over: [1] }, () => 1));
    fail(run.state, 0, run.effects);
    const again = resumed(run);
    expect(again.effects.expand).toEqual([0]);
  });

  it("keeps what a branch chose: the other path stays skipped", () => {
    const run = begun((p) => {
      const other = p.task("other", () => 1);
      const gate = p.branch("gate", {}, () => "a" as "a" | "b");
      const a = p.task("a", { after: [gate.when("a")] }, () => 1);
      const b = p.task("b", { needs: { other }, after: [gate.when("b")] }, () => 1);
      p.task("after-a", { needs: { a } }, () => 1);
      p.task("after-b", { needs: { b } }, () => 1);
    });
    start(run.state, 1);
    succeed(run.state, 1, run.effects, "a");
    end(run, "other", fail);
    end(run, "a", fail);
    expect(run.statuses()).toMatchObject({ b: "skipped", "after-b": "skipped", "after-a": "upstream-failed" });
    const again = resumed(run);
    expect(again.statuses()).toEqual({
      ...{ other: "ready", gate: "succeeded", a: "ready", "after-a": "pending" },
      ...{ b: "skipped", "after-b": "skipped" },
    });
    end(again, "other", succeed);
    end(again, "a", succeed);
    end(again, "after-a", succeed);
    expect(again.state.open).toBe(0);
    expect(again.statuses()).toMatchObject({ b: "skipped", "after-b": "skipped" });
  });

  it("lets a branch that failed choose again", () => {
    const run = begun((p) => {
      const gate = p.branch("gate", {}, () => "a" as "a" | "b");
      p.task("a", { after: [gate.when("a")] }, () => 1);
      p.task("b", { after: [gate.when("b")] }, () => 1);
    });
    end(run, "gate", fail);
    const again = resumed(run);
    expect(again.statuses()).toEqual({ gate: "ready", a: "pending", b: "pending" });
    start(again.state, 0);
    succeed(again.state, 0, again.effects, "b");
    expect(again.statuses()).toEqual({ gate: "succeeded", a: "skipped", b: "ready" });
  });

  it("opens nothing in a run that succeeded", () => {
    const run = begun((p) => void p.task("a", () => 1));
    end(run, "a", succeed);
    expect(reopen(run.state, 2)).toEqual([]);
    expect(run.state.open).toBe(0);
  });

  it("makes a run of which nothing that succeeded is repeated, and which ends", () => {
    fc.assert(
      fc.property(
        randomTasks(9),
        randomSteps(["finish", "finish", "start", "cancel-task", "stop"]),
        fc.nat({ max: 1_000 }),
        (tasks, steps, pick) => {
          const { plan }: { plan: Plan } = randomPipeline(tasks);
          const driver = new RunDriver(tasks, stateOf({ plan }));
          driver.begin();
          for (const step of steps) driver.do(step);
          driver.finish(pick);
          const before = recordsOf(driver.state);
          reopen(driver.state, 2);
          const mended = tasks.map((task) => ({ ...task, behaviours: ["succeed"] as const }));
          const again = new RunDriver(mended, driver.state);
          again.begin();
          again.finish(pick);
          for (const { position, index, status, attempts } of before) {
            const instance = again.state.instanceAt(position, index)!;
            expect(isFinal(again.state.status[instance]!)).toBe(true);
            if (status !== "succeeded") continue;
            expect(again.state.statusOf(instance)).toBe("succeeded");
            expect(again.state.attempts[instance]).toBe(attempts);
          }
          expect(runOutcome(again.state, "any"), "with every task mended").toBe("succeeded");
        },
      ),
      { numRuns: 500 },
    );
  });
});
