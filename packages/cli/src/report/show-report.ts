import { inspect } from "node:util";
import { type AttemptRecord, isRunFinished, type TaskInfo, taskName } from "weftline";
import { describeBriefly, describeRecord } from "../errors.js";
import { paint } from "../progress/line.js";
import { STATUS_STYLES } from "../progress/status-style.js";
import { count, duration, moment, padEnd, plainLine, plainLines } from "../text.js";
import { causes } from "./causes.js";
import type { RunDetails } from "./run-details.js";
import { took } from "./runs-table.js";
import { taskTree } from "./task-tree.js";
import { artifactLines, metricLines, type TextReportOptions } from "./text-report.js";

const MAX_FAILURES = 10;
const MAX_ATTEMPTS = 10;
const MAX_PARAMS_LINES = 10;

/** A run for people: its facts, the tree of its tasks, what it made, and what failed why, attempt by attempt. */
export function showReport(details: RunDetails, now: number, options: TextReportOptions): string {
  const { colors, columns } = options;
  // In a pipe nothing has to fit.
  const width = colors.isColorSupported ? columns : 10_000;
  const tree = taskTree(details, now).map((spans) => paint(spans, width, colors));
  const sections = [
    [title(details, now, options), ...facts(runFacts(details, options), options)],
    tree,
    facts(madeFacts(details, options), options),
    ...failures(details, options),
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`;
}

type Facts = readonly (readonly [name: string, values: readonly string[]])[];

function title({ run }: RunDetails, now: number, { colors }: TextReportOptions): string {
  const { symbol, style } = STATUS_STYLES[run.status];
  const time = took(run, now);
  const preposition = run.status === "succeeded" ? "in" : "after";
  const took_ = time === "" ? "" : isRunFinished(run.status) ? ` ${preposition} ${time}` : `, ${time}`;
  return `${colors[style](`${symbol} ${colors.bold(run.pipeline)} ${run.status}`)}${took_}`;
}

function runFacts({ run, generation }: RunDetails, { showStack }: TextReportOptions): Facts {
  const { startedAt, finishedAt, parent, schedule, instant, crashes } = run;
  return [
    ["run", [run.id]],
    ["shown", generation === undefined ? [] : [`generation ${generation} of ${run.generation}`]],
    ["generation", generation === undefined && run.generation > 1 ? [String(run.generation)] : []],
    ["created", [moment(run.createdAt)]],
    ["due", run.availableAt > run.createdAt && startedAt === undefined ? [moment(run.availableAt)] : []],
    ["started", startedAt === undefined ? [] : [moment(startedAt)]],
    ["finished", finishedAt === undefined || !isRunFinished(run.status) ? [] : [moment(finishedAt)]],
    ["crashes", crashes === 0 ? [] : [`${count(crashes, "engine")} died while it ran, and it made no progress since`]],
    ["key", run.key === undefined ? [] : [plainLine(run.key)]],
    ["tags", run.tags.length === 0 ? [] : [run.tags.map(plainLine).join(" ")]],
    [
      "schedule",
      schedule === undefined
        ? []
        : [`${plainLine(schedule)}${instant === undefined ? "" : `, for ${moment(instant)}`}`],
    ],
    ["started by", parent === undefined ? [] : [`${taskName(parent.task, parent.index)} of run ${parent.runId}`]],
    ["params", paramsLines(run.params)],
    ["reason", run.error === undefined ? [] : describeRecord(run.error, showStack)],
  ];
}

function paramsLines(params: unknown): readonly string[] {
  const isNothing =
    params === undefined || (typeof params === "object" && params !== null && Object.keys(params).length === 0);
  if (isNothing) return [];
  return plainLines(
    inspect(params, { depth: 3, maxArrayLength: 10, maxStringLength: 300, customInspect: false }),
  ).slice(0, MAX_PARAMS_LINES);
}

function madeFacts({ metrics, artifacts, assets }: RunDetails, { cwd }: TextReportOptions): Facts {
  const newest = new Map(artifacts.map((artifact) => [artifact.name, { ...artifact, file: undefined }]));
  return [
    ["metrics", metricLines(metrics)],
    ["artifacts", artifactLines([...newest.values()], cwd)],
    ["produced", [...new Set(assets.map(({ asset, task }) => `${plainLine(asset)}  by ${task}`))]],
  ];
}

function facts(all: Facts, { colors }: TextReportOptions): string[] {
  return all.flatMap(([name, values]) =>
    values.map((value, row) => `  ${colors.dim(padEnd(row === 0 ? name : "", 10))}  ${value}`),
  );
}

function failures({ tasks, attempts, graph }: RunDetails, options: TextReportOptions): string[][] {
  const groups = new Map(graph.tasks.map(({ id, group }) => [id, group]));
  const failed = causes(
    tasks.filter(({ status }) => status === "failed"),
    (task) => groups.get(task),
  );
  const allowed = new Set(graph.tasks.filter(({ allowFailure }) => allowFailure).map(({ id }) => id));
  const shown = failed.slice(0, MAX_FAILURES).map((task) => {
    const own = attempts.filter((attempt) => isOf(attempt, task) && attempt.error !== undefined);
    return failure(task, own, allowed.has(task.task), options);
  });
  const hidden = failed.length - shown.length;
  return hidden > 0 ? [...shown, [`… and ${count(hidden, "more failure")}`]] : shown;
}

function isOf(attempt: AttemptRecord, { task, index, generation }: TaskInfo): boolean {
  return attempt.task === task && attempt.generation === generation && attempt.index.join() === index.join();
}

/** The attempts in a line each, the last with all there is to say. */
function failure(
  { task, index, attempts, error }: TaskInfo,
  failedAttempts: readonly AttemptRecord[],
  isAllowed: boolean,
  { colors, showStack }: TextReportOptions,
): string[] {
  const tries = attempts === 0 ? "before its first attempt" : `after ${count(attempts, "attempt")}`;
  const allowed = isAllowed ? ", which the pipeline allows" : "";
  const head = `${colors.red("✗")} ${colors.bold(taskName(task, index))} failed ${tries}${allowed}`;
  const hidden = Math.max(0, failedAttempts.length - 1 - MAX_ATTEMPTS);
  const earlier = failedAttempts
    .slice(hidden, -1)
    .map((attempt) => `    ${attemptName(attempt)}  ${describeBriefly(attempt.error!)}`);
  const last = failedAttempts.at(-1);
  const record = error ?? last?.error;
  const told = record === undefined ? [] : describeRecord(record, showStack).map((line) => `    ${line}`);
  const lastName = last === undefined || failedAttempts.length < 2 ? [] : [`    ${attemptName(last)}`];
  const more = hidden === 0 ? [] : [`    … ${count(hidden, "earlier attempt")}`];
  if (lastName.length > 0 && told.length > 0)
    return [head, ...more, ...earlier, `${lastName[0]}  ${told[0]!.trim()}`, ...told.slice(1)];
  return [head, ...more, ...earlier, ...told];
}

function attemptName({ attempt, startedAt, finishedAt }: AttemptRecord): string {
  const time = finishedAt === undefined ? "" : duration(finishedAt - startedAt);
  return `attempt ${attempt} ${time.padStart(6)}`;
}
