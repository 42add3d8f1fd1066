import { createColors } from "picocolors";
import stringWidth from "string-width";
import { describe, expect, it } from "vitest";
import { type Node, pipeline } from "weftline";
import { applyAll, eventsAt, START } from "../testing/events.js";
import { ProgressModel } from "./progress-model.js";
import { renderTree } from "./tree-view.js";

const plain = createColors(false);

const nightly = pipeline("nightly", (p) => {
  const fetch = p.task("fetch", { retry: { attempts: 3 } }, () => [1]);
  const train = p.map("train", { over: fetch, retry: { attempts: 2 } }, ({ item }) => item);
  const gate = p.branch("gate", { needs: { train } }, () => "deploy" as const);
  p.task("deploy", { after: [gate.when("deploy")] }, () => 1);
  p.task("keep", { after: [gate.when("keep" as never)] }, () => 1);
});

function draw(model: ProgressModel, now: number, size = { columns: 70, rows: 24 }): string {
  return `\n${renderTree(model, size, START + now, plain).join("\n")}\n`;
}

/** A pipeline of `length` tasks in a row. */
function chain(length: number): ProgressModel {
  const row = pipeline("row", (p) => {
    let last: Node<number> | undefined;
    for (let n = 0; n < length; n++) last = p.task(`task-${n}`, { after: last ? [last] : [] }, () => n);
  });
  return new ProgressModel(row);
}

describe("renderTree()", () => {
  it("shows a run from beginning to end", () => {
    const model = new ProgressModel(nightly);
    expect(draw(model, 0)).toMatchInlineSnapshot(`
      "
      nightly  queued  0.0s  0 of 5 tasks
        · fetch
        · train
        · gate
        · deploy
        · keep
      "
    `);

    applyAll(model, [
      eventsAt(0).runStarted(),
      eventsAt(1).started("fetch"),
      eventsAt(5).log("fetch", "asking\x1b[2J\nagain"),
    ]);
    expect(draw(model, 410)).toMatchInlineSnapshot(`
      "
      nightly  running  0.4s  0 of 5 tasks
        ⠴ fetch     0.4s  asking again
        · train
        · gate
        · deploy
        · keep
      "
    `);

    model.apply(eventsAt(500).retrying("fetch", 2_000, "connect ECONNREFUSED"));
    expect(draw(model, 1_200)).toMatchInlineSnapshot(`
      "
      nightly  running  1.2s  0 of 5 tasks
        ↻ fetch     1.2s  attempt 2/3 in 1.3s  Error: connect ECONNREFUSED
        · train
        · gate
        · deploy
        · keep
      "
    `);

    applyAll(model, [
      eventsAt(2_500).started("fetch", { attempt: 2 }),
      eventsAt(3_000).finished("fetch", "succeeded", 2_999, { attempt: 2 }),
      eventsAt(3_000).expanded("train", 40),
    ]);
    for (let item = 0; item < 17; item++) {
      model.apply(eventsAt(3_000).started("train", { index: [item] }));
      if (item > 2) model.apply(eventsAt(3_400).finished("train", "succeeded", 400, { index: [item] }));
    }
    applyAll(model, [
      eventsAt(3_300).finished("train", "failed", 300, { index: [0], because: "singular matrix" }),
      eventsAt(3_300).retrying("train", 900, "out of memory", { index: [1] }),
      eventsAt(3_350).progress("train", 0.42, "epoch 3", { index: [2] }),
    ]);
    expect(draw(model, 3_500)).toMatchInlineSnapshot(`
      "
      nightly  running  3.5s  1 of 5 tasks
        ✓ fetch          3.0s  attempt 2/3
        ⠸ train          0.5s  15/40 ██████░░░░░░░░░░ 1 failed 1 retrying
          ✗ train[0]    300ms  Error: singular matrix
          ↻ train[1]     0.5s  attempt 2/2 in 0.7s  Error: out of memory
          ⠸ train[2]     0.5s  42 % · epoch 3
        · gate
        · deploy
        · keep
      "
    `);

    applyAll(model, [
      eventsAt(4_000).finished("train", "failed", 1_000, { attempt: 0, because: "1 of 40 items failed" }),
      eventsAt(4_000).finished("gate", "upstream-failed", 0, { attempt: 0 }),
      eventsAt(4_000).finished("deploy", "skipped", 0, { attempt: 0, because: "branch chose keep" }),
      eventsAt(4_000).finished("keep", "cancelled", 0, { attempt: 0, because: "RUN_CANCELLED" }),
      eventsAt(4_000).runFinished("failed"),
    ]);
    expect(draw(model, 9_000)).toMatchInlineSnapshot(`
      "
      nightly  failed  4.0s  5 of 5 tasks
        ✓ fetch          3.0s  attempt 2/3
        ✗ train          1.0s  15/40 1 failed 1 retrying
          ✗ train[0]    300ms  Error: singular matrix
          ↻ train[1]     6.0s  attempt 2/2 due  Error: out of memory
          ▸ train[2]     6.0s  42 % · epoch 3
        ⊘ gate
        ○ deploy               branch chose keep
        ■ keep
      "
    `);
  });

  it("counts what does not fit: what failed and runs goes first, then what ended last", () => {
    const model = chain(100);
    model.apply(eventsAt(0).runStarted());
    for (let n = 0; n < 60; n++) {
      model.apply(eventsAt(n).started(`task-${n}`));
      model.apply(eventsAt(n).finished(`task-${n}`, n === 3 ? "failed" : "succeeded", 1));
    }
    applyAll(model, [eventsAt(60).started("task-60"), eventsAt(60).retrying("task-60", 500, "busy")]);
    expect(draw(model, 100, { columns: 60, rows: 10 })).toMatchInlineSnapshot(`
      "
      row  running  0.1s  60 of 100 tasks
        … 55 succeeded
        ✗ task-3      0ms  Error: broken
        ✓ task-56     0ms
        ✓ task-57     0ms
        ✓ task-58     0ms
        ✓ task-59     0ms
        ↻ task-60    0.0s  attempt 2/2 in 0.5s  Error: busy
        … 39 pending
      "
    `);
  });

  it("shows as many items as there is room for, some of each kind", () => {
    const model = new ProgressModel(nightly);
    applyAll(model, [eventsAt(0).runStarted(), eventsAt(0).expanded("train", 500)]);
    for (let item = 0; item < 60; item++) {
      const index = [item];
      model.apply(eventsAt(0).started("train", { index }));
      if (item < 10) model.apply(eventsAt(9).finished("train", "failed", 9, { index }));
      else if (item < 30) model.apply(eventsAt(9).retrying("train", 500, "busy", { index }));
    }
    expect(draw(model, 100)).toMatchInlineSnapshot(`
      "
      nightly  running  0.1s  0 of 5 tasks
        · fetch
        ⠙ train           0.1s  10/500 ░░░░░░░░░░░░░░░░ 10 failed 20 retryi…
          ✗ train[8]       9ms  Error: broken
          ✗ train[9]       9ms  Error: broken
          ↻ train[10]     0.1s  attempt 2/2 in 0.4s  Error: busy
          ↻ train[11]     0.1s  attempt 2/2 in 0.4s  Error: busy
          ⠙ train[30]     0.1s
          ⠙ train[31]     0.1s
          ⠙ train[32]     0.1s
          ⠙ train[33]     0.1s
            … 44 more in progress
        · gate
        · deploy
        · keep
      "
    `);
    expect(draw(model, 100, { columns: 60, rows: 9 })).toMatchInlineSnapshot(`
      "
      nightly  running  0.1s  0 of 5 tasks
        · fetch
        ⠙ train           0.1s  10/500 ░░░░░░░░░░░░░░░░ 10 failed 
          ✗ train[9]       9ms  Error: broken
          ↻ train[10]     0.1s  attempt 2/2 in 0.4s  Error: busy
            … 49 more in progress
        … 3 pending
      "
    `);
  });

  it.each([
    [80, 24],
    [40, 8],
    [20, 5],
    [8, 3],
    [1, 1],
  ])("fits %d columns and %d rows, whatever is written in the run", (columns, rows) => {
    const model = chain(30);
    const wide = "日本語の長い説明 👩‍👩‍👧 ".repeat(20);
    model.apply(eventsAt(0).runStarted());
    for (let n = 0; n < 30; n++) {
      applyAll(model, [eventsAt(n).started(`task-${n}`, { attempt: 12 }), eventsAt(n).log(`task-${n}`, wide)]);
      if (n % 3 === 0) model.apply(eventsAt(n).retrying(`task-${n}`, 1e9, wide, { attempt: 12 }));
    }
    for (const colors of [plain, createColors(true)]) {
      const lines = renderTree(model, { columns, rows }, START + 5_000, colors);
      // One row is the cursor's.
      expect(lines.length).toBeLessThanOrEqual(Math.max(1, rows - 1));
      for (const line of lines) expect(stringWidth(line)).toBeLessThanOrEqual(columns);
    }
  });

  it("leaves the tasks their time: a frame of ten thousand takes milliseconds", () => {
    const model = chain(10_000);
    const before = performance.now();
    for (let frame = 0; frame < 10; frame++) renderTree(model, { columns: 80, rows: 24 }, START, plain);
    expect(performance.now() - before).toBeLessThan(1_000);
  });
});

describe("renderTree() of groups and waits", () => {
  const shops = pipeline("shops", (p) => {
    const list = p.task("list", { cache: { key: () => 1, ttl: "1d" } }, () => ["a", "b"]);
    const shop = p.group("shop", { over: list }, (g) => {
      const load = g.task("load", () => 1);
      g.map("train", { over: [1, 2], needs: { load } }, () => 1);
    });
    const send = p.group("send", { retry: { attempts: 2 }, after: [shop] }, (g) => {
      const mail = g.task("mail", () => 1);
      g.task("log", { needs: { mail } }, () => 1);
    });
    p.signal("approve", { after: [send] });
    p.sleep("rest", "1h");
    p.task("child", () => 1);
  });

  it("indents tasks under their group, and shows the items of a list with what is in them", () => {
    const model = new ProgressModel(shops);
    applyAll(model, [
      eventsAt(0).runStarted(),
      eventsAt(1).finished("list", "succeeded", 1, { cachedFrom: "r1", warning: "few rows" }),
      eventsAt(2).waiting("rest", { kind: "sleep", until: Date.UTC(2026, 10, 22, 21) }, { attempt: 0 }),
      eventsAt(2).waiting("child", { kind: "run", runId: "r2", params: "" }),
      eventsAt(2).expanded("shop", 2),
      eventsAt(2).started("shop", { index: [0] }),
      eventsAt(2).started("shop", { index: [1] }),
      eventsAt(2).started("shop.load", { index: [0] }),
      eventsAt(3).finished("shop.load", "succeeded", 1, { index: [0] }),
      eventsAt(3).expanded("shop.train", 2, [0]),
      eventsAt(3).started("shop.train", { index: [0, 1] }),
      eventsAt(3).started("shop.load", { index: [1] }),
      eventsAt(9).finished("shop.load", "failed", 6, { index: [1], because: "no stock" }),
      eventsAt(9).finished("shop.train", "upstream-failed", 0, { index: [1], attempt: 0 }),
      eventsAt(9).finished("shop", "failed", 7, { index: [1], because: "1 of its tasks failed" }),
    ]);
    expect(draw(model, 100, { columns: 90, rows: 30 })).toMatchInlineSnapshot(`
      "
      shops  running  0.1s  1 of 7 tasks
        ✓ list                            from cache  ! few rows
        ◷ rest                      0.1s  sleeps until 2026-11-22T21:00:00Z
        ◷ child                     0.1s  waits for run r2
        ⠙ shop                      0.1s  1/2 ████████░░░░░░░░ 1 failed
          ✗ shop[1]                  7ms  Error: 1 of its tasks failed
            ✗ shop.load[1]           6ms  Error: no stock
            ⊘ shop.train[1]
          ⠙ shop[0]                 0.1s
            ✓ shop.load[0]           1ms
            ⠙ shop.train[0]         0.1s  0/2 ░░░░░░░░░░░░░░░░
              ⠙ shop.train[0][1]    0.1s
        · send
          · send.mail
          · send.log
        · approve
      "
    `);
  });

  it("clears the tasks of a group that is tried again", () => {
    const model = new ProgressModel(shops);
    applyAll(model, [
      eventsAt(0).runStarted(),
      eventsAt(0).started("send"),
      eventsAt(0).started("send.mail"),
      eventsAt(5).finished("send.mail", "failed", 5, { because: "refused" }),
      eventsAt(5).finished("send.log", "upstream-failed", 0, { attempt: 0 }),
      eventsAt(5).retrying("send", 100, "1 of its tasks failed"),
    ]);
    expect(model.task("send")).toMatchObject({ status: "retrying" });
    applyAll(model, [eventsAt(105).started("send", { attempt: 2 }), eventsAt(105).started("send.mail")]);
    expect(model.task("send.mail")).toMatchObject({ status: "running", error: undefined, startedAt: START + 105 });
    expect(model.task("send.log")).toMatchObject({ status: "pending" });
    model.apply(eventsAt(110).waiting("approve", { kind: "signal", key: "order 7" }, { attempt: 0 }));
    expect(draw(model, 200)).toMatchInlineSnapshot(`
      "
      shops  running  0.2s  0 of 7 tasks
        · list
        · rest
        · child
        · shop
        ⠹ send           0.2s  attempt 2/2
          ⠹ send.mail    0.1s
          · send.log
        ◷ approve        0.1s  waits for signal "approve", or to key "order…
      "
    `);
  });
});
