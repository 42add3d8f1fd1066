import { describe, expect, it } from "vitest";
import { barChart, lineChart, niceTicks } from "./svg.js";

const format = (value: number) => `${value}!`;
const base = { title: "t", yLabel: "y", format };

describe("niceTicks()", () => {
  it.each([
    [0, 4.9, [0, 1, 2, 3, 4, 5]],
    [0, 20.4, [0, 5, 10, 15, 20, 25]],
    [9_750, 12_240, [9_500, 10_000, 10_500, 11_000, 11_500, 12_000, 12_500]],
    [0, 0.07, [0, 0.02, 0.04, 0.06, 0.08]],
    [5, 5, [5]],
  ])("encloses %d to %d in round steps", (low, high, ticks) => expect(niceTicks(low, high)).toEqual(ticks));
});

describe("lineChart()", () => {
  it("puts the highest value above the lowest", () => {
    const series = [{ name: "a", tone: "one", values: [1, 3] }];
    const { text } = lineChart({ ...base, series, positions: ["p", "q"], ticks: [{ at: 1, text: "second" }] });
    const [, first, second] = /points="[\d.]+,([\d.]+) [\d.]+,([\d.]+)"/.exec(text) ?? [];
    expect(Number(first)).toBeGreaterThan(Number(second));
    expect(text).toContain(">second</text>");
    expect(text).toContain("<title>q\na: 3!</title>");
  });

  it("copes with a line that never changes", () => {
    const series = [{ name: "a", tone: "one", values: [0, 0] }];
    expect(lineChart({ ...base, series, positions: ["p", "q"], ticks: [] }).text).not.toContain("NaN");
  });
});

describe("barChart()", () => {
  const series = [{ name: "a<b", tone: "one", values: [1, 2] }];
  const { text } = barChart({ ...base, series, positions: ["p", "q"], label: (value) => `${value}.0` });

  it("draws bars from 0, as high as their values", () => {
    const heights = [...text.matchAll(/class="bar one"[^>]* height="([\d.]+)"/g)].map((match) => Number(match[1]));
    expect(heights[1]! / heights[0]!).toBeCloseTo(2, 2);
  });

  it("writes labels, and escapes names", () => {
    expect(text).toContain(">2.0</text>");
    expect(text).toContain("a&lt;b: 2!");
  });
});
