import type { HistoryEvent } from "@weftline/testing";
import { describe, expect, it } from "vitest";
import { blockEventLoop, outlivedBlocks } from "./blocks.js";

function lease(at: number, change: "renewed" | "lost" | "released"): HistoryEvent {
  return { type: "lease", seq: at, at, engine: "e-1", change, until: at + 100 };
}

const block = { engine: "e", from: 100, to: 300 };
const nameOf = () => "e";

describe("outlivedBlocks()", () => {
  it("counts a block in which the lease was renewed and never lost", () => {
    const history = [lease(50, "lost"), lease(150, "renewed"), lease(250, "renewed"), lease(350, "lost")];
    expect(outlivedBlocks(history, [block], nameOf, [])).toEqual({ outlived: 1, problems: [] });
  });

  it.each([
    ["was lost", [lease(150, "renewed"), lease(250, "lost")]],
    ["was given back", [lease(150, "released")]],
    ["was not renewed", [lease(50, "renewed"), lease(350, "renewed")]],
  ])("finds it when the lease %s meanwhile, unless nothing ran on the machine", (_, history) => {
    expect(outlivedBlocks(history, [block], nameOf, []).problems).toHaveLength(1);
    const starved = [{ from: 0, to: 1_000 }];
    expect(outlivedBlocks(history, [block], nameOf, starved)).toEqual({ outlived: 0, problems: [] });
  });
});

it("blockEventLoop() lets no timer fire meanwhile", () => {
  let hasFired = false;
  const timer = setTimeout(() => {
    hasFired = true;
  }, 1);
  const { from, to } = blockEventLoop(20);
  expect([hasFired, to - from >= 19]).toEqual([false, true]);
  clearTimeout(timer);
});
