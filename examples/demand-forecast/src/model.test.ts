import { describe, expect, it } from "vitest";
import { addDays } from "./calendar.js";
import { FEATURE_NAMES, type FeatureTable } from "./features.js";
import { isRunnable, linearModelSchema, predict, trainModel } from "./model.js";

const INTERCEPT = 5000;
const weights = FEATURE_NAMES.map((_, column) => 100 - 7 * column);

/** Rows of reproducible numbers in [0, 1), and births that follow exactly from them. */
function linearTable(length: number): FeatureTable {
  let seed = 1;
  const random = () => {
    seed = (seed * 48_271) % 2_147_483_647; // Park and Miller's minimal standard generator
    return seed / 2_147_483_647;
  };
  const rows = Array.from({ length }, () => FEATURE_NAMES.map(random));
  return {
    days: rows.map((_, index) => addDays("2001-01-01", index)),
    births: rows.map((row) => row.reduce((sum, value, column) => sum + value * weights[column]!, INTERCEPT)),
    rows,
  };
}

describe("trainModel()", () => {
  const model = trainModel(linearTable(200));

  it("recovers the weights that made the data", () => {
    expect(model.intercept).toBeCloseTo(INTERCEPT, 5);
    for (const [column, weight] of weights.entries()) expect(model.weights[column]).toBeCloseTo(weight, 5);
  });

  it("names its features and the days it was trained on", () => {
    expect(model.features).toEqual(FEATURE_NAMES);
    expect([model.trainedFrom, model.trainedThrough]).toEqual(["2001-01-01", "2001-07-19"]);
  });

  it("makes a model that is runnable; one with other features is not", () => {
    expect(isRunnable(model)).toBe(true);
    expect(isRunnable({ ...model, features: model.features.with(0, "moon") })).toBe(false);
  });

  it("makes a model that survives JSON", () => {
    expect(linearModelSchema.parse(JSON.parse(JSON.stringify(model)))).toEqual(model);
  });

  it("copes with a feature that never changes", () => {
    const { rows, ...table } = linearTable(200);
    const constant = trainModel({ ...table, rows: rows.map((row) => row.with(0, 0)) });
    expect(constant.weights.every(Number.isFinite)).toBe(true);
  });
});

it("predict() adds the weighted features to the intercept", () => {
  const model = {
    features: ["a", "b"],
    weights: [2, -1],
    intercept: 10,
    trainedFrom: "2001-01-01",
    trainedThrough: "2001-12-31",
  };
  expect(
    predict(model, [
      [1, 1],
      [0, 3],
    ]),
  ).toEqual([11, 7]);
});
