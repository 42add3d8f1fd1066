import { NonRetryableError, pipeline } from "weftline";
import { z } from "zod";
import { type DemandSource, findProblems, LAST_DAY, toDailyDemand } from "./data.js";
import { backTest, evaluate, HOLDOUT_DAYS, makeFolds, meanOfFolds, splitHoldout } from "./evaluate.js";
import { buildFeatures } from "./features.js";
import { forecastAhead, isRunnable, trainModel } from "./model.js";
import type { ModelStore } from "./model-store.js";
import { renderReport } from "./report.js";

declare module "weftline" {
  interface Resources {
    demandSource: DemandSource;
    modelStore: ModelStore;
  }
}

/** Every night: a new model on all demand known so far, deployed only if it proves better, and a report. */
export const demandForecast = pipeline(
  "demand-forecast",
  {
    params: z.object({ day: z.iso.date().default(LAST_DAY) }),
    // All nights share the deployed model.
    maxActiveRuns: 1,
    defaults: { retry: { attempts: 3, delay: "500ms", backoff: "exponential", maxDelay: "10s" }, timeout: "2m" },
  },
  (p) => {
    const records = p.task("fetch", async ({ params, resources, signal, log, metric }) => {
      const fetched = await resources.demandSource.fetch(params.day, signal);
      log(`${fetched.length} days up to ${params.day}`);
      metric("rows", fetched.length);
      return fetched;
    });

    const demand = p.task("validate", { needs: { records } }, ({ input, params }) => {
      const problems = findProblems(input.records, params.day);
      if (problems.length > 0) throw new NonRetryableError(`Cannot use the data: ${problems.join("; ")}`);
      return toDailyDemand(input.records);
    });

    const table = p.task("features", { needs: { demand } }, ({ input }) => buildFeatures(input.demand));

    const folds = p.task("folds", { needs: { table } }, ({ input }) => makeFolds(input.table));

    const foldScores = p.map(
      "train",
      { over: folds, needs: { table }, concurrency: 4 },
      ({ item, input, log, metric }) => {
        const result = backTest(input.table, item);
        log(`${result.year}: MAPE ${result.model.toFixed(2)} % after ${result.trainingDays} days of training`);
        metric("mape", result.model);
        return result;
      },
    );

    const candidate = p.task("candidate", { needs: { table } }, ({ input }) =>
      trainModel(splitHoldout(input.table, HOLDOUT_DAYS).training),
    );

    const deployed = p.task("deployed", async ({ resources, log }) => {
      const model = await resources.modelStore.read();
      if (model === undefined || isRunnable(model)) return model;
      log.warn("The deployed model was trained on other features, which nobody computes any more: it counts as none");
      return undefined;
    });

    const evaluation = p.task(
      "evaluate",
      { needs: { table, candidate, deployed, foldScores } },
      ({ input, metric }) => {
        const { holdout } = splitHoldout(input.table, HOLDOUT_DAYS);
        const result = evaluate({ ...input, holdout });
        metric("mape", result.candidate.mape);
        metric("mape.back-test", meanOfFolds(input.foldScores).model);
        return result;
      },
    );

    const gate = p.branch("gate", { needs: { evaluation } }, ({ input }) => input.evaluation.decision.choice);

    const deploy = p.task(
      "deploy",
      { needs: { candidate, evaluation }, after: [gate.when("deploy")] },
      async ({ input, resources }) => {
        const { candidate: score, lastWeek, lastYear } = input.evaluation;
        await resources.modelStore.write(input.candidate, { candidate: score, lastWeek, lastYear });
        return input.candidate;
      },
    );

    const keep = p.task("keep", { needs: { deployed, evaluation }, after: [gate.when("keep")] }, ({ input, log }) => {
      log(input.evaluation.decision.reason);
      return input.deployed;
    });

    // The two paths meet again: whichever was taken says which model is in force.
    const inForce = p.task(
      "in-force",
      { needs: { deploy, keep }, triggerRule: "none-failed-min-one-success" },
      ({ input }) => input.deploy ?? input.keep,
    );

    const nextWeek = p.task("forecast", { needs: { inForce, demand } }, ({ input }) =>
      input.inForce ? forecastAhead(input.inForce, input.demand) : [],
    );

    p.task("report", { needs: { evaluation, foldScores, nextWeek } }, ({ input, params, artifact }) => {
      const html = renderReport({ day: params.day, ...input });
      artifact({ name: "report.html", contentType: "text/html; charset=utf-8", data: html });
    });

    return { evaluation, foldScores, nextWeek };
  },
);
