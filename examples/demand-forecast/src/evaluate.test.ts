import { describe, expect, it } from "vitest";
import { LAST_DAY, toDailyDemand, usBirths } from "./data.js";
import {
  backTest,
  decide,
  evaluate,
  HOLDOUT_DAYS,
  makeFolds,
  meanOfFolds,
  type Score,
  score,
  splitHoldout,
} from "./evaluate.js";
import { buildFeatures, sliceTable } from "./features.js";
import { trainModel } from "./model.js";

const { signal } = new AbortController();
const table = buildFeatures(toDailyDemand(await usBirths.fetch(LAST_DAY, signal)));
const { training, holdout } = splitHoldout(table, HOLDOUT_DAYS);
const candidate = trainModel(training);
const folds = makeFolds(table);
const foldScores = folds.map((fold) => backTest(table, fold));

function scored(mape: number): Score {
  return { mape, mae: 0, bias: 0, p95: 0 };
}

describe("score()", () => {
  it("measures errors in percent and in births", () => {
    expect(score([100, 200], [110, 180])).toEqual({ mape: 10, mae: 15, bias: -5, p95: 10 });
  });

  it("p95 leaves the worst twentieth out", () => {
    const actual = Array(100).fill(100);
    const forecast = actual.map((births, index) => births + index);
    expect(score(actual, forecast).p95).toBe(94);
  });

  it("refuses lists that do not fit", () => {
    expect(() => score([1], [1, 2])).toThrow(RangeError);
    expect(() => score([], [])).toThrow(RangeError);
  });
});

describe("makeFolds()", () => {
  it("makes one for each whole year that has two years of features before it", () => {
    expect(folds.map(({ year }) => year)).toEqual([
      2003, 2004, 2005, 2006, 2007, 2008, 2009, 2010, 2011, 2012, 2013, 2014,
    ]);
    expect(folds.map(({ testStart, testEnd }) => testEnd - testStart)).toEqual([
      365, 366, 365, 365, 365, 366, 365, 365, 365, 366, 365, 365,
    ]);
  });

  it("leaves a year that is not over out", () => {
    const until = sliceTable(table, 0, table.days.indexOf("2012-06-30"));
    expect(makeFolds(until).at(-1)?.year).toBe(2011);
  });

  it("trains on nothing from the tested year on", () => {
    for (const { year, testStart } of folds) expect(table.days[testStart - 1]).toBe(`${year - 1}-12-31`);
  });
});

describe("backTest()", () => {
  it("finds the accuracies of the real data", () => {
    expect(foldScores.map(({ model }) => model.toFixed(2))).toEqual([
      "2.39",
      "2.69",
      "2.94",
      "3.09",
      "2.89",
      "3.30",
      "2.86",
      "2.64",
      "2.75",
      "2.78",
      "2.64",
      "2.55",
    ]);
  });

  it("has these means over the years", () => {
    const means = meanOfFolds(foldScores);
    expect(means.model).toBeCloseTo(2.79, 2);
    expect(means.lastYear).toBeCloseTo(3.61, 2);
    expect(means.lastWeek).toBeCloseTo(4.39, 2);
  });

  it("beats last week in every year, and last year in all but two", () => {
    for (const { model, lastWeek } of foldScores) expect(model).toBeLessThan(lastWeek);
    expect(foldScores.filter(({ model, lastYear }) => model >= lastYear).map(({ year }) => year)).toEqual([2005, 2007]);
  });
});

describe("splitHoldout()", () => {
  it("holds out 2013 and 2014", () => {
    expect([holdout.days[0], holdout.days.at(-1)]).toEqual(["2013-01-01", "2014-12-31"]);
    expect(training.days.at(-1)).toBe("2012-12-31");
  });

  it("refuses to leave too little for training", () => {
    expect(() => splitHoldout(table, 4700)).toThrow("Cannot hold out 4700 of 5115 days");
  });
});

describe("evaluate()", () => {
  const evaluation = evaluate({ candidate, deployed: undefined, holdout, foldScores });

  it("finds the accuracies of the real data", () => {
    expect(evaluation.candidate.mape).toBeCloseTo(2.62, 2);
    expect(evaluation.lastYear.mape).toBeCloseTo(3.37, 2);
    expect(evaluation.lastWeek.mape).toBeCloseTo(4.22, 2);
  });

  it("is far better near holidays than last year's same weekday, and still poor", () => {
    const holidays = evaluation.groups.at(-1);
    expect(holidays?.group).toBe("Near holidays");
    expect(holidays?.model).toBeCloseTo(10.4, 1);
    expect(holidays?.lastYear).toBeCloseTo(20.2, 1);
  });

  it("scores every day once, in groups", () => {
    expect(evaluation.groups.reduce((sum, { days }) => sum + days, 0)).toBe(HOLDOUT_DAYS);
    const weighted = evaluation.groups.reduce((sum, { days, model }) => sum + days * model, 0) / HOLDOUT_DAYS;
    expect(weighted).toBeCloseTo(evaluation.candidate.mape, 10);
  });

  it("keeps a deployed model that is the same", () => {
    const again = evaluate({ candidate, deployed: candidate, holdout, foldScores });
    expect(again.deployed).toEqual(again.candidate);
    expect(again.decision.choice).toBe("keep");
  });

  it("keeps a deployed model that has seen the hold-out, without a score", () => {
    const evaluation = evaluate({ candidate, deployed: trainModel(table), holdout, foldScores });
    expect(evaluation.deployed).toBeUndefined();
    expect(evaluation.decision).toMatchObject({
      choice: "keep",
      reason: expect.stringContaining("no fair comparison"),
    });
  });
});

describe("decide()", () => {
  const naive = { lastWeek: scored(4.2), lastYear: scored(3.4) };

  it.each([
    ["deploys the first model that beats the naive forecasts", 2.7, undefined, "deploy"],
    ["keeps away a first model that does not", 3.4, undefined, "keep"],
    ["deploys a model that is better by the margin", 2.7, 2.8, "deploy"],
    ["keeps the deployed model on less than the margin", 2.78, 2.8, "keep"],
    ["keeps the deployed model against a worse one", 2.9, 2.8, "keep"],
    ["keeps a poor deployed model when the candidate is no better than naive", 3.5, 5, "keep"],
  ] as const)("%s", (_, mape, deployedMape, choice) => {
    const deployed = deployedMape === undefined ? undefined : scored(deployedMape);
    const scores = { ...naive, candidate: scored(mape), deployed };
    const decision = decide(scores, { foldScores, isDeployed: deployed !== undefined });
    expect(decision.choice).toBe(choice);
  });

  it("keeps when such models lost over the years, however well the candidate did", () => {
    const poor = foldScores.map((fold) => ({ ...fold, model: 5 }));
    const scores = { ...naive, candidate: scored(1), deployed: undefined };
    expect(decide(scores, { foldScores: poor, isDeployed: false })).toEqual({
      choice: "keep",
      reason: "In the back-test such models (5.00 %) do not beat the best naive forecast (3.61 %)",
    });
  });
});
