import { type Day, WEEKDAYS, weekdayOf, yearOf } from "./calendar.js";
import { columnOf, type FeatureTable, sliceTable } from "./features.js";
import { type LinearModel, predict, trainModel } from "./model.js";

/**
 * How much lower than the deployed model's MAPE a candidate's must be, as a part of it. Replacing a model has a cost
 * (people re-learn its quirks), and a change of less than 1 % on two years is within what one odd Christmas makes.
 */
export const MIN_IMPROVEMENT = 0.01;

/** Two years: enough to cover weekdays, seasons and holidays, and to smooth over one odd year. */
export const HOLDOUT_DAYS = 730;

// Fewer days cannot tell a year's seasons from its trend.
const MIN_TRAINING_DAYS = 730;

const LAST_WEEK = "demand 7 days before";
const LAST_YEAR = "demand 364 days before";

/** How far forecasts were off. */
export interface Score {
  /** Mean absolute percentage error, in percent. */
  readonly mape: number;
  /** Mean absolute error, in births per day. */
  readonly mae: number;
  /** Mean of forecast minus actual, in births per day: above 0 when it forecasts too much. */
  readonly bias: number;
  /** 95 % of the days are off by no more than this, in percent. */
  readonly p95: number;
}

/** One year of the back-test: train on everything before it, forecast it. Rows are positions in the feature table. */
export interface Fold {
  readonly year: number;
  /** The rows before `testStart` train, `testStart` to `testEnd` (exclusive) test. */
  readonly testStart: number;
  readonly testEnd: number;
}

/** MAPE of one back-tested year, in percent. */
export interface FoldScore {
  readonly year: number;
  readonly trainingDays: number;
  readonly model: number;
  readonly lastWeek: number;
  readonly lastYear: number;
}

/** MAPE in percent over one kind of day. */
interface GroupScore {
  readonly group: string;
  readonly days: number;
  readonly model: number;
  readonly lastYear: number;
}

export interface Decision {
  readonly choice: "deploy" | "keep";
  /** A sentence for people. */
  readonly reason: string;
}

/** Who forecast how well on the same days. `deployed` is missing when there is none, or no fair comparison. */
export interface Scores {
  readonly candidate: Score;
  readonly deployed: Score | undefined;
  readonly lastWeek: Score;
  readonly lastYear: Score;
}

/** The candidate against the deployed model and the naive forecasts, on days neither model has seen. */
export interface Evaluation extends Scores {
  readonly days: readonly Day[];
  readonly actual: readonly number[];
  readonly forecast: readonly number[];
  readonly groups: readonly GroupScore[];
  readonly decision: Decision;
}

/** @throws {RangeError} On lists of different lengths, or without a day. */
export function score(actual: readonly number[], forecast: readonly number[]): Score {
  if (actual.length === 0 || actual.length !== forecast.length) {
    throw new RangeError(`Cannot score ${forecast.length} forecasts against ${actual.length} days`);
  }
  const errors = actual.map((births, index) => forecast[index]! - births);
  const percentages = errors.map((error, index) => (100 * Math.abs(error)) / actual[index]!);
  return {
    mape: mean(percentages),
    mae: mean(errors.map(Math.abs)),
    bias: mean(errors),
    p95: quantile(percentages, 0.95),
  };
}

/** The whole years of the table that have enough days before them to train on: an expanding window. */
export function makeFolds(table: FeatureTable): Fold[] {
  const years = [...new Set(table.days.map(yearOf))];
  return years
    .map((year) => ({
      year,
      testStart: table.days.indexOf(`${year}-01-01`),
      testEnd: table.days.indexOf(`${year}-12-31`) + 1,
    }))
    .filter(({ testStart, testEnd }) => testStart >= MIN_TRAINING_DAYS && testEnd > testStart);
}

/** Trains on the days before the fold's year and scores that year, next to the naive forecasts. */
export function backTest(table: FeatureTable, fold: Fold): FoldScore {
  const model = trainModel(sliceTable(table, 0, fold.testStart));
  const test = sliceTable(table, fold.testStart, fold.testEnd);
  return {
    year: fold.year,
    trainingDays: fold.testStart,
    model: scoreModel(model, test).mape,
    lastWeek: score(test.births, columnOf(test, LAST_WEEK)).mape,
    lastYear: score(test.births, columnOf(test, LAST_YEAR)).mape,
  };
}

/** Cuts the newest `holdoutDays` off, which no candidate may see in training. */
export function splitHoldout(
  table: FeatureTable,
  holdoutDays: number,
): { readonly training: FeatureTable; readonly holdout: FeatureTable } {
  const start = table.days.length - holdoutDays;
  if (start < MIN_TRAINING_DAYS) {
    throw new RangeError(
      `Cannot hold out ${holdoutDays} of ${table.days.length} days: ${MIN_TRAINING_DAYS} must remain`,
    );
  }
  return { training: sliceTable(table, 0, start), holdout: sliceTable(table, start, table.days.length) };
}

export function evaluate(options: {
  readonly candidate: LinearModel;
  readonly deployed: LinearModel | undefined;
  readonly holdout: FeatureTable;
  readonly foldScores: readonly FoldScore[];
}): Evaluation {
  const { candidate, deployed, holdout, foldScores } = options;
  const forecast = predict(candidate, holdout.rows);
  const lastYear = columnOf(holdout, LAST_YEAR);
  const scores: Scores = {
    candidate: score(holdout.births, forecast),
    deployed: deployed && hasNotSeen(deployed, holdout) ? scoreModel(deployed, holdout) : undefined,
    lastWeek: score(holdout.births, columnOf(holdout, LAST_WEEK)),
    lastYear: score(holdout.births, lastYear),
  };
  return {
    days: holdout.days,
    actual: holdout.births,
    forecast,
    ...scores,
    groups: scoreByKindOfDay(holdout, forecast, lastYear),
    decision: decide(scores, { foldScores, isDeployed: deployed !== undefined }),
  };
}

/**
 * Deploy when the candidate beats both naive forecasts, also over the years of the back-test, and the deployed model
 * by at least {@link MIN_IMPROVEMENT}. A deployed model that cannot be compared fairly stays.
 */
export function decide(
  scores: Scores,
  options: { readonly foldScores: readonly FoldScore[]; readonly isDeployed: boolean },
): Decision {
  const { candidate, deployed, lastWeek, lastYear } = scores;
  const naive = Math.min(lastWeek.mape, lastYear.mape);
  if (candidate.mape >= naive) {
    return keep(`The candidate (${percent(candidate.mape)}) does not beat the best naive forecast (${percent(naive)})`);
  }

  const years = meanOfFolds(options.foldScores);
  const naiveYears = Math.min(years.lastWeek, years.lastYear);
  if (years.model >= naiveYears) {
    return keep(
      `In the back-test such models (${percent(years.model)}) do not beat the best naive forecast (${percent(naiveYears)})`,
    );
  }

  if (!options.isDeployed) {
    return deploy(
      `No model is deployed yet, and the candidate (${percent(candidate.mape)}) beats the best naive forecast (${percent(naive)})`,
    );
  }
  if (deployed === undefined) {
    return keep("The deployed model was trained on days of this hold-out: no fair comparison");
  }
  const improvement = 1 - candidate.mape / deployed.mape;
  const comparison = `the candidate (${percent(candidate.mape)}) against the deployed model (${percent(deployed.mape)})`;
  return improvement >= MIN_IMPROVEMENT
    ? deploy(`${percent(100 * improvement)} better: ${comparison}`)
    : keep(`Not at least ${100 * MIN_IMPROVEMENT} % better: ${comparison}`);
}

/** The plain mean over the years. */
export function meanOfFolds(folds: readonly FoldScore[]): Pick<FoldScore, "model" | "lastWeek" | "lastYear"> {
  return {
    model: mean(folds.map(({ model }) => model)),
    lastWeek: mean(folds.map(({ lastWeek }) => lastWeek)),
    lastYear: mean(folds.map(({ lastYear }) => lastYear)),
  };
}

function deploy(reason: string): Decision {
  return { choice: "deploy", reason };
}

function keep(reason: string): Decision {
  return { choice: "keep", reason };
}

function scoreModel(model: LinearModel, table: FeatureTable): Score {
  return score(table.births, predict(model, table.rows));
}

function hasNotSeen(model: LinearModel, holdout: FeatureTable): boolean {
  return model.trainedThrough < holdout.days[0]!;
}

/** Ordinary days by weekday, and holidays with the days next to them as a group of their own. */
function scoreByKindOfDay(
  holdout: FeatureTable,
  forecast: readonly number[],
  lastYear: readonly number[],
): GroupScore[] {
  const isHoliday = columnOf(holdout, "holiday");
  const isNext = columnOf(holdout, "next to a holiday");
  const groupOf = (day: Day, index: number) =>
    isHoliday[index] || isNext[index] ? "Near holidays" : WEEKDAYS[weekdayOf(day)]!;

  const groups = holdout.days.map(groupOf);
  return [...WEEKDAYS, "Near holidays"].flatMap((group) => {
    const members = groups.flatMap((other, index) => (other === group ? [index] : []));
    if (members.length === 0) return [];
    const pick = (values: readonly number[]) => members.map((index) => values[index]!);
    return {
      group,
      days: members.length,
      model: score(pick(holdout.births), pick(forecast)).mape,
      lastYear: score(pick(holdout.births), pick(lastYear)).mape,
    };
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The smallest value that at least `part` of the values do not exceed. */
function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil(part * sorted.length) - 1]!;
}

function percent(value: number): string {
  return `${value.toFixed(2)} %`;
}
