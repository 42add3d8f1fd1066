import MultivariateLinearRegression from "ml-regression-multivariate-linear";
import { z } from "zod";
import type { Day } from "./calendar.js";
import type { DailyDemand } from "./data.js";
import { buildFeaturesAhead, FEATURE_NAMES, type FeatureTable } from "./features.js";

/** A trained linear model, as plain data: it crosses tasks and is what `model.json` holds. */
export const linearModelSchema = z.object({
  features: z.array(z.string()),
  /** One per feature, in births per unit of the feature. */
  weights: z.array(z.number()),
  intercept: z.number(),
  trainedFrom: z.iso.date(),
  trainedThrough: z.iso.date(),
});

export type LinearModel = z.infer<typeof linearModelSchema>;

export interface DayForecast {
  readonly day: Day;
  readonly births: number;
}

/** Least squares over all rows of the table. */
export function trainModel(table: FeatureTable): LinearModel {
  const regression = new MultivariateLinearRegression(
    table.rows.map((row) => [...row]),
    table.births.map((births) => [births]),
    { statistics: false },
  );
  const coefficients = regression.weights.map(([weight]) => weight!);
  return {
    features: [...FEATURE_NAMES],
    weights: coefficients.slice(0, -1),
    intercept: coefficients.at(-1)!,
    trainedFrom: table.days[0]!,
    trainedThrough: table.days.at(-1)!,
  };
}

/** Whether this version of the code computes the features the model was trained on. */
export function isRunnable(model: LinearModel): boolean {
  return model.features.join() === FEATURE_NAMES.join();
}

/** The forecast of each row, in births. */
export function predict(model: LinearModel, rows: FeatureTable["rows"]): number[] {
  return rows.map((row) => row.reduce((sum, value, column) => sum + value * model.weights[column]!, model.intercept));
}

/** The forecast of the days after the newest one, as far as the features reach. */
export function forecastAhead(model: LinearModel, demand: readonly DailyDemand[]): DayForecast[] {
  const { days, rows } = buildFeaturesAhead(demand);
  const forecast = predict(model, rows);
  return days.map((day, index) => ({ day, births: Math.round(forecast[index]!) }));
}
