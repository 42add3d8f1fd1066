import { describe, expect, it } from "vitest";
import { pipeline } from "weftline";
import { applyAll, eventsAt, START } from "../testing/events.js";
import { countFinished } from "./instance.js";
import { ProgressModel, type StoredTask } from "./progress-model.js";

const sample = pipeline("p", (p) => {
  const report = p.task("report", () => 1);
  const list = p.task("list", () => [1, 2]);
  const train = p.map("train", { over: list, retry: { attempts: 3 } }, ({ item }) => item);
  p.order(train, report);
});

describe("ProgressModel", () => {
  it("lists tasks in topological order, whatever the order of their definition", () => {
    const model = new ProgressModel(sample);
    expect(model.tasks.map(({ task }) => task.id)).toEqual(["list", "train", "report"]);
    expect(model.countTasks()).toEqual(new Map([["pending", 3]]));
  });

  it("follows a task from its start over a failed attempt to its end", () => {
    const model = new ProgressModel(sample);
    const list = model.task("list")!;
    applyAll(model, [
      eventsAt(0).runStarted(),
      eventsAt(10).started("list"),
      eventsAt(20).progress("list", 0.5, "half"),
    ]);
    expect(list).toMatchObject({ status: "running", attempt: 1, startedAt: START + 10, progress: { fraction: 0.5 } });
    model.apply(eventsAt(30).retrying("list", 100, "busy"));
    expect(list).toMatchObject({
      status: "retrying",
      retryAt: START + 130,
      error: { message: "busy" },
      progress: undefined,
    });
    model.apply(eventsAt(130).started("list", { attempt: 2 }));
    expect(list).toMatchObject({ status: "running", attempt: 2, retryAt: undefined, startedAt: START + 10 });
    model.apply(eventsAt(150).finished("list", "succeeded", 140, { attempt: 2 }));
    expect(list).toMatchObject({ status: "succeeded", error: undefined, finishedAt: START + 150 });
  });

  it("ignores a retry that is announced after the next attempt began", () => {
    const model = new ProgressModel(sample);
    applyAll(model, [
      eventsAt(0).started("list"),
      eventsAt(5).started("list", { attempt: 2 }),
      eventsAt(5).retrying("list", 0, "busy"),
    ]);
    expect(model.task("list")).toMatchObject({ status: "running", attempt: 2, retryAt: undefined });
  });

  it("counts the items of a map and keeps those that run, wait or failed", () => {
    const model = new ProgressModel(sample);
    applyAll(model, [
      // Items may start before it is told how many there are.
      eventsAt(0).started("train", { index: [0] }),
      eventsAt(0).expanded("train", 4),
      eventsAt(0).started("train", { index: [1] }),
      eventsAt(0).started("train", { index: [2] }),
      eventsAt(0).started("train", { index: [3] }),
      eventsAt(9).finished("train", "succeeded", 9, { index: [0] }),
      eventsAt(9).finished("train", "failed", 9, { index: [1] }),
      eventsAt(9).retrying("train", 50, "busy", { index: [2] }),
    ]);
    const { items, status } = model.task("train")!;
    expect(status).toBe("running");
    expect(items!.total).toBe(4);
    expect(countFinished(items!)).toBe(2);
    expect(items!.finished).toEqual(
      new Map([
        ["succeeded", 1],
        ["failed", 1],
      ]),
    );
    expect([...items!.running.keys()]).toEqual(["3"]);
    expect([...items!.retrying.keys()]).toEqual(["2"]);
    expect(model.find("train", [1])).toMatchObject({ status: "failed" });
    expect(model.find("train", [2])).toMatchObject({ status: "retrying" });
    expect(model.find("train", [0])).toBeUndefined();
  });

  it("keeps the last lines of a log, also after a failure", () => {
    const model = new ProgressModel(sample);
    model.apply(eventsAt(0).started("train", { index: [7] }));
    for (let line = 1; line <= 9; line++)
      model.apply(eventsAt(line).log("train", `line ${line}`, "info", { index: [7] }));
    model.apply(eventsAt(20).finished("train", "failed", 20, { index: [7] }));
    expect(model.find("train", [7])!.logs.map(({ message }) => message)).toEqual(
      [5, 6, 7, 8, 9].map((n) => `line ${n}`),
    );
  });

  it("holds no more of a long map than of a short one", () => {
    const model = new ProgressModel(sample);
    model.apply(eventsAt(0).expanded("train", 5_000));
    for (let item = 0; item < 5_000; item++) {
      const index = [item];
      model.apply(eventsAt(item).started("train", { index }));
      model.apply(eventsAt(item).finished("train", item % 2 ? "failed" : "succeeded", 1, { index }));
    }
    const items = model.task("train")!.items!;
    expect(items.finished.get("failed")).toBe(2_500);
    expect(items.failed).toHaveLength(100);
    expect(items.running.size).toBe(0);
  });

  it("takes no harm from tasks it does not know", () => {
    const model = new ProgressModel(sample);
    applyAll(model, [
      eventsAt(0).started("other"),
      eventsAt(0).expanded("other", 3),
      eventsAt(0).log("other", "text", "info", { index: [1] }),
      eventsAt(0).retrying("other", 1, "x"),
      eventsAt(0).finished("other", "failed", 1),
    ]);
    expect(model.countTasks()).toEqual(new Map([["pending", 3]]));
  });

  it("takes over what storage has, and what begins anew of it", () => {
    const record = (task: string, index: readonly number[], facts: Partial<StoredTask>): StoredTask =>
      ({
        task,
        index,
        status: "succeeded",
        attempts: 1,
        startedAt: START,
        finishedAt: START + 5,
        ...facts,
      }) as StoredTask;
    const records = [
      record("list", [], { warning: "few", cachedFrom: "r0" }),
      record("train", [], { status: "failed", items: 3 }),
      record("train", [0], {}),
      record("train", [1], { status: "failed", error: { name: "Error", message: "x" } }),
    ];
    const model = new ProgressModel(sample);
    model.restore(records);
    expect(model.warnings).toEqual([{ task: "list", index: [], warning: "few" }]);
    expect(model.cached).toEqual(["list"]);
    expect(model.task("train")!.items).toMatchObject({
      total: 3,
      finished: new Map([
        ["succeeded", 1],
        ["failed", 1],
      ]),
    });
    model.apply(eventsAt(9).started("train", { index: [1], attempt: 2 }));
    model.apply(eventsAt(9).finished("train", "succeeded", 1, { index: [1], attempt: 2 }));
    expect(model.task("train")!.items!.finished).toEqual(new Map([["succeeded", 2]]));
    model.refresh(records);
    expect(countFinished(model.task("train")!.items!)).toBe(2);
  });
});
