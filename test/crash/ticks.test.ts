import { describe, expect, it } from "vitest";
import { crashPipelines, NO_SURROUNDINGS } from "./pipeline.js";
import { instantsOf, scheduleOf } from "./ticks.js";

const ticks = { everyMs: 200, from: 1_150, until: 1_750 };
const schedule = scheduleOf(ticks);

describe("scheduleOf()", () => {
  it("has the instants that the harness knows, and none after the last", () => {
    const instants: number[] = [];
    for (let next = schedule.next(0); next !== undefined; next = schedule.next(next)) instants.push(next);
    expect(instants).toEqual([1_200, 1_400, 1_600]);
    expect(instantsOf(ticks)).toEqual(instants);
  });

  it("runs the latest of those that were missed", () => {
    expect(schedule.latest(1_199, 1_450)).toBe(1_400);
    expect(schedule.latest(1_199, 9_999)).toBe(1_600);
    expect(schedule.latest(1_600, 9_999)).toBeUndefined();
  });

  it("is no part of a definition, so that the harness knows the shape of all", () => {
    const { tick } = crashPipelines({ ...NO_SURROUNDINGS, ticks });
    expect(tick.hash).toBe(crashPipelines(NO_SURROUNDINGS).tick.hash);
  });
});
