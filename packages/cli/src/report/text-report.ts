import { relative } from "node:path";
import { inspect } from "node:util";
import { taskName } from "weftline";
import type { SavedArtifact } from "../artifacts.js";
import { describeRecord } from "../errors.js";
import type { WarningReport } from "../progress/progress-model.js";
import { describeCounts, STATUS_STYLES } from "../progress/status-style.js";
import { bytes, type Colors, count, duration, padEnd, plainLine, plainLines, shortList, widest } from "../text.js";
import type { ArtifactReport, FailureReport, MetricReport, RunReport } from "./run-report.js";

export interface TextReportOptions {
  readonly colors: Colors;
  readonly columns: number;
  readonly cwd: string;
  readonly showStack: boolean;
}

const MAX_FAILURES_SHOWN = 10;
const MAX_RESULT_LINES = 20;
/** Depth and list length, from the fullest to the briefest. */
const RESULT_DETAILS = [
  [4, 10],
  [4, 3],
  [3, 3],
  [2, 3],
  [1, 3],
] as const;
const MAX_ROWS = 20;
const MAX_NAMES = 8;

/** The end of a run for people: how it went, what it made, and what failed why. */
export function textReport(report: RunReport, options: TextReportOptions): string {
  const { colors } = options;
  const facts = [
    ["run", [report.generation > 1 ? `${report.runId}, generation ${report.generation}` : report.runId]],
    ["reason", reasonLines(report, options)],
    ["tasks", [describeCounts(report.tasks)]],
    ["items", report.maps.map(({ task, items }) => `${task}: ${describeCounts(items) || "none"}`)],
    ["not run", report.notRun.length > 0 ? [`${shortList(report.notRun, MAX_NAMES)}, as what they need failed`] : []],
    ["cached", report.cached.length > 0 ? [`${shortList(report.cached, MAX_NAMES)}, from earlier runs`] : []],
    ["warnings", warningLines(report.warnings, colors)],
    ["result", report.result === undefined ? [] : resultLines(report.result, options.columns)],
    ["metrics", metricLines(report.metrics)],
    ["artifacts", artifactLines(report.artifacts, options.cwd)],
  ] as const;
  const lines = facts.flatMap(([name, values]) =>
    values.map((value, row) => `  ${colors.dim(padEnd(row === 0 ? name : "", 9))}  ${value}`),
  );
  return `${["", title(report, colors), ...lines, ...failureLines(report.failures, options)].join("\n")}\n`;
}

/** What failed and why: the only thing said of a run that is to be quiet. */
export function failureReport(report: RunReport, options: TextReportOptions): string {
  const reason = reasonLines(report, options).map((line) => `  ${line}`);
  return `${[title(report, options.colors), ...reason, ...failureLines(report.failures, options)].join("\n")}\n`;
}

/** Whoever cancelled a run knows why. */
function reasonLines({ status, error }: RunReport, { showStack }: TextReportOptions): string[] {
  return error === undefined || status === "cancelled" ? [] : describeRecord(error, showStack);
}

function title({ pipeline, status, durationMs }: RunReport, colors: Colors): string {
  const { symbol, style } = STATUS_STYLES[status];
  const preposition = status === "succeeded" ? "in" : "after";
  return `${colors[style](`${symbol} ${colors.bold(pipeline)} ${status}`)} ${preposition} ${duration(durationMs)}`;
}

function warningLines(warnings: readonly WarningReport[], colors: Colors): string[] {
  return bounded(
    warnings.map(({ task, index, warning }) => colors.yellow(`! ${taskName(task, index)}: ${plainLine(warning)}`)),
  );
}

/** With as much detail as fits; the whole result is what `--json` is for. */
function resultLines(result: unknown, columns: number): string[] {
  const breakLength = Math.max(40, Math.min(columns, 120) - 13);
  let lines: string[] = [];
  for (const [depth, maxArrayLength] of RESULT_DETAILS) {
    const shown = inspect(result, { depth, maxArrayLength, maxStringLength: 300, breakLength, customInspect: false });
    lines = plainLines(shown);
    if (lines.length <= MAX_RESULT_LINES) return lines;
  }
  return [...lines.slice(0, MAX_RESULT_LINES), `… ${count(lines.length - MAX_RESULT_LINES, "more line")}`];
}

export function metricLines(metrics: readonly MetricReport[]): string[] {
  const names = metrics.map(({ task, name }) => `${task} ${plainLine(name)}`);
  const width = widest(names.slice(0, MAX_ROWS));
  return bounded(metrics.map((metric, place) => `${padEnd(names[place]!, width)}  ${describeMetric(metric)}`));
}

function describeMetric({ count: values, last, min, max, mean }: MetricReport): string {
  if (values === 1) return number(last);
  return `${number(mean)} on average, ${number(min)} to ${number(max)} (${values.toLocaleString("en")} values)`;
}

function number(value: number): string {
  return value.toLocaleString("en", { maximumSignificantDigits: Math.abs(value) >= 1e6 ? 21 : 6 });
}

export function artifactLines(artifacts: readonly ArtifactReport[], cwd: string): string[] {
  const names = artifacts.map(({ name }) => plainLine(name));
  const width = widest(names.slice(0, MAX_ROWS));
  return bounded(
    artifacts.map(({ size, contentType, file }, place) => {
      const facts = [bytes(size), plainLine(contentType), ...(file ? [describeFile(file, cwd)] : [])];
      return `${padEnd(names[place]!, width)}  ${facts.join(", ")}`;
    }),
  );
}

function describeFile({ path, problem }: SavedArtifact, cwd: string): string {
  if (problem !== undefined) return `could not be written: ${plainLine(problem)}`;
  return `written to ${plainLine(relativeTo(cwd, path))}`;
}

function failureLines(failures: readonly FailureReport[], options: TextReportOptions): string[] {
  const shown = failures.slice(0, MAX_FAILURES_SHOWN);
  const lines = shown.flatMap((failure) => ["", ...describeFailure(failure, options)]);
  const hidden = failures.length - shown.length;
  return hidden > 0 ? [...lines, "", `… and ${count(hidden, "more failure")}`] : lines;
}

function describeFailure(failure: FailureReport, { colors, showStack }: TextReportOptions): string[] {
  const { task, index, attempts, error, isAllowed, lastLogs } = failure;
  const tries = attempts === 0 ? "before its first attempt" : `after ${count(attempts, "attempt")}`;
  const allowed = isAllowed ? ", which the pipeline allows" : "";
  const logs = lastLogs.map(({ level, message }) =>
    colors.dim(`    | ${level === "info" ? "" : `${level}: `}${plainLine(message)}`),
  );
  return [
    `${colors.red("✗")} ${colors.bold(taskName(task, index))} failed ${tries}${allowed}`,
    ...describeRecord(error, showStack).map((line) => `    ${line}`),
    ...(logs.length > 0 ? [colors.dim("    its last log lines:"), ...logs] : []),
  ];
}

function bounded(lines: readonly string[]): string[] {
  if (lines.length <= MAX_ROWS) return [...lines];
  return [...lines.slice(0, MAX_ROWS), `… and ${lines.length - MAX_ROWS} more`];
}

function relativeTo(cwd: string, path: string): string {
  const name = relative(cwd, path);
  return name.startsWith("..") ? path : name;
}
