import { describe, expect, it } from "vitest";
import { type NamedEvent, pipeline } from "weftline";
import { eventsAt, START } from "../testing/events.js";
import { plainView } from "./plain-view.js";
import { ProgressModel } from "./progress-model.js";

const sample = pipeline("p", (p) => {
  const fetch = p.task("fetch", () => [1]);
  const train = p.map("train", { over: fetch }, ({ item }) => item);
  p.task("report", { needs: { train } }, () => 1);
});

function print(events: readonly NamedEvent[]): string {
  const model = new ProgressModel(sample);
  let text = "\n";
  const view = plainView(model, { write: (line) => (text += line) });
  for (const event of events) {
    model.apply(event);
    view.show(event);
  }
  return text;
}

describe("plainView()", () => {
  it("prints a line for each change", () => {
    const text = print([
      eventsAt(0).runStarted(),
      eventsAt(3).started("fetch"),
      eventsAt(4).log("fetch", "asking\nfor \x1b[31morders"),
      eventsAt(4).log("fetch", "noise", "debug"),
      eventsAt(5).log("fetch", "slow", "warn"),
      eventsAt(6).progress("fetch", 0.5),
      eventsAt(1_234).retrying("fetch", 1_500, "connect ECONNREFUSED"),
      eventsAt(2_734).started("fetch", { attempt: 2 }),
      eventsAt(3_000).finished("fetch", "succeeded", 2_997, { attempt: 2 }),
      eventsAt(3_000).expanded("train", 2),
      eventsAt(3_000).started("train", { index: [0] }),
      eventsAt(3_100).finished("train", "failed", 100, { index: [0], because: "singular matrix" }),
      eventsAt(3_100).finished("train", "skipped", 50, { index: [1], because: "no data" }),
      eventsAt(3_100).finished("report", "upstream-failed", 0, { attempt: 0, because: '"train" ended failed' }),
      eventsAt(3_200).runFinished("failed"),
    ]);
    expect(text).toMatchInlineSnapshot(`
      "
         0.00s  fetch       ▸ started
         0.00s  fetch       | asking for orders
         0.01s  fetch       | warn: slow
         1.23s  fetch       ↻ retrying, attempt 2 in 1.5s, Error: connect ECONNREFUSED
         2.73s  fetch       ▸ started, attempt 2
         3.00s  fetch       ✓ succeeded, 3.0s, attempt 2
         3.00s  train       ▸ started, 2 items
         3.00s  train[0]    ▸ started
         3.10s  train[0]    ✗ failed, 100ms, Error: singular matrix
         3.10s  train[1]    ○ skipped, 50ms, no data
         3.10s  report      ⊘ upstream-failed, "train" ended failed
      "
    `);
  });

  it("counts the items of a long map in tenths, and names those that fail", () => {
    const events: NamedEvent[] = [eventsAt(0).runStarted(), eventsAt(0).expanded("train", 1_000)];
    for (let item = 0; item < 1_000; item++) {
      events.push(eventsAt(item).started("train", { index: [item] }));
      events.push(eventsAt(item).finished("train", item === 555 ? "failed" : "succeeded", 1, { index: [item] }));
    }
    expect(print(events)).toMatchInlineSnapshot(`
      "
         0.00s  train       ▸ started, 1000 items
         0.10s  train[99]   ▸ 100/1000 items
         0.20s  train[199]  ▸ 200/1000 items
         0.30s  train[299]  ▸ 300/1000 items
         0.40s  train[399]  ▸ 400/1000 items
         0.50s  train[499]  ▸ 500/1000 items
         0.56s  train[555]  ✗ failed, 1ms, Error: broken
         0.60s  train[599]  ▸ 600/1000 items
         0.70s  train[699]  ▸ 700/1000 items
         0.80s  train[799]  ▸ 800/1000 items
         0.90s  train[899]  ▸ 900/1000 items
         1.00s  train[999]  ▸ 1000/1000 items
      "
    `);
  });

  it("tells what waits and until when, pauses, warnings and outputs from the cache", () => {
    const status = (ms: number, status: string) =>
      ({ name: "run:status", runId: "run", pipeline: "p", at: START + ms, status }) as NamedEvent;
    const text = print([
      eventsAt(0).runStarted(),
      eventsAt(0).waiting("fetch", { kind: "poll", until: Date.UTC(2026, 0, 2), probes: 2 }),
      status(1, "waiting"),
      status(2, "paused"),
      status(3, "running"),
      eventsAt(5).finished("fetch", "succeeded", 5, { cachedFrom: "other", warning: "few rows" }),
      eventsAt(6).waiting("report", { kind: "run", runId: "child", params: "" }),
    ]);
    expect(text).toMatchInlineSnapshot(`
      "
         0.00s  fetch       ◷ looks again at 2026-01-02T00:00:00Z, 2 looks so far
         0.00s  ‖ the run is paused
         0.00s  ▸ the run goes on
         0.01s  fetch       ✓ succeeded, 5ms, from cache, warning: few rows
         0.01s  report      ◷ waits for run child
      "
    `);
  });
});
