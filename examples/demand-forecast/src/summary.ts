import { type TaskInfo, taskName } from "weftline";
import { type Evaluation, type FoldScore, meanOfFolds, type Score } from "./evaluate.js";
import { textTable } from "./text-table.js";

/** How good the forecasts are, and what was decided. */
export function describeResult(evaluation: Evaluation, folds: readonly FoldScore[]): string {
  const { days, candidate, deployed, lastYear, lastWeek, decision } = evaluation;
  const years = meanOfFolds(folds);
  const row = (name: string, score: Score | undefined, backTest?: number) =>
    score ? [[name, percent(score.mape), score.mae.toFixed(0), backTest === undefined ? "" : percent(backTest)]] : [];

  return [
    `Errors on the hold-out, ${days[0]} to ${days.at(-1)}, and in the back-test, ${folds[0]?.year} to ${folds.at(-1)?.year}:`,
    "",
    textTable([
      ["forecast", "MAPE", "births/day", "back-test MAPE"],
      ...row("candidate", candidate, years.model),
      ...row("deployed model", deployed),
      ...row("same weekday last year", lastYear, years.lastYear),
      ...row("same weekday last week", lastWeek, years.lastWeek),
    ]),
    "",
    `Decision: ${decision.choice}. ${decision.reason}.`,
  ].join("\n");
}

/** How often each task ran before a resume, and how often after it. Items of a map are added up. */
export function describeAttempts(before: readonly TaskInfo[], after: readonly TaskInfo[]): string {
  const tasks = [...new Set(after.map(({ task }) => task))];
  const rows = tasks.map((task) => {
    const first = attemptsOf(task, before);
    return [task, String(first), String(attemptsOf(task, after) - first)];
  });
  return textTable([["attempts at", "before", "after"], ...rows]);
}

/** The tasks and items that had succeeded and yet ran again: none, if the engine keeps its word. */
export function findRepeated(before: readonly TaskInfo[], after: readonly TaskInfo[]): string[] {
  const nameOf = ({ task, index }: TaskInfo) => taskName(task, index);
  const attempts = new Map(after.map((record) => [nameOf(record), record.attempts]));
  return before
    .filter((record) => record.status === "succeeded" && attempts.get(nameOf(record)) !== record.attempts)
    .map(nameOf);
}

function attemptsOf(task: string, records: readonly TaskInfo[]): number {
  return records.filter((record) => record.task === task).reduce((sum, { attempts }) => sum + attempts, 0);
}

function percent(value: number): string {
  return `${value.toFixed(2)} %`;
}
