import type { TaskStatus } from "weftline";
import { jsonLine, withoutStack } from "../json.js";
import type { RunReport } from "./run-report.js";

/** The last line of `--json`: the outcome of the run. */
export function jsonReport(report: RunReport, exitCode: number, showStack: boolean): string {
  const { tasks, maps, failures, error, ...facts } = report;
  const shown = showStack ? <Kept>(kept: Kept) => kept : withoutStack;
  return jsonLine({
    event: "outcome",
    exitCode,
    ...facts,
    ...(error && { error: shown(error) }),
    tasks: toObject(tasks),
    maps: maps.map(({ task, items }) => ({ task, items: toObject(items) })),
    failures: failures.map((failure) => ({ ...failure, error: shown(failure.error) })),
  });
}

function toObject(counts: ReadonlyMap<TaskStatus, number>): object {
  return Object.fromEntries(counts);
}
