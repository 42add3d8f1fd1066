import { type TaskStatus, taskName } from "weftline";
import { describeBriefly } from "../errors.js";
import { type Colors, count, duration, plainLine } from "../text.js";
import { countFinished, type Instance, type Items, isFinal } from "./instance.js";
import { cell, paint, type Span } from "./line.js";
import type { ProgressModel } from "./progress-model.js";
import { describeCounts, describeWait, STATUS_STYLES } from "./status-style.js";

/** The size of the terminal, in characters. */
export interface ViewSize {
  readonly columns: number;
  readonly rows: number;
}

const SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";
const SPINNER_MS = 80;
const BAR_WIDTH = 16;
const TIME_WIDTH = 7;
const MAX_NAME_SHARE = 0.4;
const MAX_ITEMS_SHOWN = 8;
const MAX_LINES_INSIDE = 12;
const INDENT = "  ";

/**
 * The run as it stands at `now`: one line for each task in topological order, those of a group below it, and below a
 * map, or a mapped group, those for its items that run, wait for another attempt or failed. Fits the terminal: what matters least is counted instead of shown.
 */
export function renderTree(model: ProgressModel, size: ViewSize, now: number, colors: Colors): string[] {
  // The last row of the terminal stays free: the cursor stands there.
  const room = Math.max(1, size.rows - 1);
  const { plan } = model.pipeline;
  const layout = { plan, nameWidth: nameWidth(model, size.columns), now, isOver: model.finishedAt !== undefined };
  const lines = [header(model, now), ...body(model, room - 1, layout)];
  return lines.slice(0, room).map((spans) => paint(spans, size.columns, colors));
}

type Line = readonly Span[];

interface Layout {
  readonly plan: ProgressModel["pipeline"]["plan"];
  readonly nameWidth: number;
  readonly now: number;
  readonly isOver: boolean;
}

function nameWidth({ tasks, pipeline: { plan } }: ProgressModel, columns: number): number {
  // Ids are ASCII, so that their length is their width: measuring thousands for each frame would take too long.
  const widthOf = (instance: Instance): number => {
    const { task, index, items, inside } = instance;
    const own = INDENT.length * levelOf(instance, plan) + taskName(task.id, index).length;
    if (!items?.total) return own;
    const last = [...index, items.total - 1];
    const item = INDENT.length * (levelOf(instance, plan) + 1) + taskName(task.id, last).length;
    const shown = task.kind === "group" ? (first(items.running.values(), 1)[0]?.inside ?? []) : inside;
    return Math.max(item, ...shown.map(widthOf));
  };
  const wanted = tasks.reduce((widest, task) => Math.max(widest, widthOf(task)), 0);
  return Math.min(wanted, Math.max(8, Math.floor(columns * MAX_NAME_SHARE)));
}

/** How far it is indented: one for each group, and for each item, around it. */
function levelOf({ task, index }: Instance, plan: Layout["plan"]): number {
  const depth = plan.depth[task.position]!;
  let level = depth + (index.length > depth ? 1 : 0);
  for (let group = plan.parent[task.position]!; group >= 0; group = plan.parent[group]!) level += 1;
  return level;
}

function header(model: ProgressModel, now: number): Line {
  const { style } = STATUS_STYLES[model.status];
  const took = (model.finishedAt ?? now) - (model.startedAt ?? now);
  const counted = model.counted();
  const finished = counted.filter(({ status }) => isFinal(status)).length;
  return [
    { text: model.pipeline.id, style: "bold" },
    { text: "  " },
    { text: model.status, style },
    { text: `  ${model.finishedAt === undefined ? moving(took) : duration(took)}` },
    { text: `  ${finished} of ${count(counted.length, "task")}`, style: "dim" },
  ];
}

/** All tasks when there is room for them; else the important ones, and a line each for what was left out. */
function body(model: ProgressModel, room: number, layout: Layout): Line[] {
  if (model.tasks.length <= room) {
    const all = model.tasks.flatMap((task) => taskLines(task, MAX_ITEMS_SHOWN, layout));
    if (all.length <= room) return all;
  }
  const chosen = choose(model, room - 2, layout);
  const hidden = model.tasks.filter((task) => !chosen.has(task));
  const shown = model.tasks.flatMap((task) => chosen.get(task) ?? []);
  return [...hiddenLine(hidden.filter(wasBegun)), ...shown, ...hiddenLine(hidden.filter((task) => !wasBegun(task)))];
}

/** Takes tasks by importance for as long as they fit; the items of maps get what the tasks leave. */
function choose(model: ProgressModel, room: number, layout: Layout): ReadonlyMap<Instance, Line[]> {
  const byImportance = model.tasks
    .map((task, place) => ({ task, place, importance: importance(task) }))
    .sort((a, b) => a.importance - b.importance || recency(b.task) - recency(a.task) || a.place - b.place)
    .map(({ task }) => task);
  const chosen = new Map<Instance, Line[]>();
  let left = room;
  for (const task of byImportance) {
    if (left <= 0) break;
    chosen.set(task, taskLines(task, 0, layout));
    left -= 1;
    if (importance(task) > 1) continue;
    // At most a half of what is left for the items of one map, so that the next tasks are seen too.
    const lines = taskLines(task, Math.min(MAX_ITEMS_SHOWN, Math.floor(left / 2) - 1), layout);
    left -= lines.length - 1;
    chosen.set(task, lines);
  }
  return chosen;
}

function importance({ status }: Instance): number {
  if (status === "failed") return 0;
  if (status === "running" || status === "retrying" || status === "waiting") return 1;
  return isFinal(status) ? 2 : 3;
}

function recency({ finishedAt = 0 }: Instance): number {
  return finishedAt;
}

function wasBegun({ status }: Instance): boolean {
  return status !== "pending";
}

function hiddenLine(tasks: readonly Instance[]): Line[] {
  if (tasks.length === 0) return [];
  const counts = new Map<TaskStatus, number>();
  for (const { status } of tasks) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [[{ text: `  … ${describeCounts(counts)}`, style: "dim" }]];
}

function taskLines(task: Instance, maxItems: number, layout: Layout): Line[] {
  const own = instanceLine(task, layout, [...listSpans(task), ...instanceSpans(task, layout)]);
  return task.items === undefined ? [own] : [own, ...itemLines(task.items, maxItems, layout)];
}

function itemLines(items: Items, max: number, layout: Layout): Line[] {
  if (max < 1) return [];
  // A third of the lines at most for each of those in trouble, so that one sees what runs.
  const share = Math.max(1, Math.floor(max / 3));
  const failed = items.failed.slice(-share);
  const retrying = first(items.retrying.values(), share);
  const running = first(items.running.values(), max - failed.length - retrying.length);
  const shown = [...failed, ...retrying, ...running];
  let room = max < MAX_ITEMS_SHOWN ? max - shown.length : MAX_LINES_INSIDE;
  const lines = shown.flatMap((item) => {
    const inside = insideLines(item, layout);
    if (inside.length > room) return [instanceLine(item, layout, instanceSpans(item, layout))];
    room -= inside.length;
    return [instanceLine(item, layout, instanceSpans(item, layout)), ...inside];
  });
  const hidden = items.running.size - running.length + items.retrying.size - retrying.length;
  if (hidden > 0) lines.push([{ text: `      … ${hidden} more in progress`, style: "dim" }]);
  return lines;
}

/** The tasks in an item of a mapped group. */
function insideLines({ inside }: Instance, layout: Layout): Line[] {
  return inside.flatMap((task) => [...taskLines(task, 2, layout), ...insideLines(task, layout)]);
}

function instanceLine(instance: Instance, layout: Layout, details: Line): Line {
  const { status, index, task } = instance;
  const { style } = STATUS_STYLES[status];
  const indent = INDENT.repeat(levelOf(instance, layout.plan));
  const isQuiet = status === "pending" || status === "skipped" || status === "upstream-failed";
  return [
    { text: `  ${indent}${symbolOf(status, layout)} `, style },
    cell(taskName(task.id, index), Math.max(1, layout.nameWidth - indent.length), isQuiet ? "dim" : undefined),
    { text: ` ${elapsed(instance, layout.now).padStart(TIME_WIDTH)}  `, style: "dim" },
    ...details,
  ];
}

function elapsed({ startedAt, finishedAt }: Instance, now: number): string {
  if (startedAt === undefined) return "";
  return finishedAt === undefined ? moving(now - startedAt) : duration(finishedAt - startedAt);
}

/** A time that changes with every frame: its milliseconds would be noise. */
function moving(ms: number): string {
  return ms < 1_000 ? `${(ms / 1_000).toFixed(1)}s` : duration(ms);
}

function symbolOf(status: TaskStatus, { now, isOver }: Layout): string {
  if (status !== "running" || isOver) return STATUS_STYLES[status].symbol;
  return SPINNER[Math.floor(now / SPINNER_MS) % SPINNER.length]!;
}

function listSpans({ items, status }: Instance): Line {
  if (items?.total === undefined || items.total === 0) return [];
  const finished = countFinished(items);
  const failed = items.finished.get("failed") ?? 0;
  const retrying = items.retrying.size;
  const spans: Span[] = [{ text: `${finished}/${items.total} ` }];
  if (!isFinal(status)) spans.push(...bar(finished / items.total), { text: " " });
  if (failed > 0) spans.push({ text: `${failed} failed `, style: "red" });
  if (retrying > 0) spans.push({ text: `${retrying} retrying `, style: "yellow" });
  return spans;
}

function bar(fraction: number): Line {
  const full = Math.floor(fraction * BAR_WIDTH);
  return [
    { text: "█".repeat(full), style: "cyan" },
    { text: "░".repeat(BAR_WIDTH - full), style: "dim" },
  ];
}

/** What there is to say about an instance beside its name and time. */
function instanceSpans(instance: Instance, { now }: Layout): Line {
  const { status, attempt, task, error, reason, wait, retryAt = now } = instance;
  const attempts = attempt > 1 ? [`attempt ${attempt}/${Math.max(attempt, task.retry.attempts)}`] : [];
  switch (status) {
    case "running":
      return [dim([...attempts, ...activity(instance)])];
    case "retrying": {
      const next = `attempt ${attempt + 1}/${Math.max(attempt + 1, task.retry.attempts)} ${retryAt > now ? `in ${moving(retryAt - now)}` : "due"}`;
      return [{ text: next, style: "yellow" }, ...(error ? [dim(["", describeBriefly(error)])] : [])];
    }
    case "waiting":
      return [{ text: wait ? describeWait(wait, task.id) : "", style: "cyan" }];
    case "succeeded":
      return succeededSpans(instance, attempts);
    case "failed":
      return [dim([...attempts, ...(error && !hasFailedItems(instance) ? [describeBriefly(error)] : [])])];
    case "skipped":
      return [dim(reason === undefined ? [] : [plainLine(reason)])];
    default:
      return [dim(attempts)];
  }
}

/** What is worth knowing about a success. */
function succeededSpans({ warning, cachedFrom }: Instance, attempts: readonly string[]): Line {
  const facts = dim([...attempts, ...(cachedFrom === undefined ? [] : ["from cache"])]);
  if (warning === undefined) return [facts];
  return [facts, { text: `${facts.text === "" ? "" : "  "}! ${plainLine(warning)}`, style: "yellow" }];
}

/** Then its error only says so. */
function hasFailedItems({ items }: Instance): boolean {
  return (items?.failed.length ?? 0) > 0;
}

/** Its progress if it reports any, and what it said last. */
function activity({ progress, logs }: Instance): string[] {
  const said = progress?.message ?? logs.at(-1)?.message;
  const percent = progress === undefined ? [] : [`${Math.floor(progress.fraction * 100)} %`];
  return said === undefined ? percent : [...percent, plainLine(said)];
}

function dim(texts: readonly string[]): Span {
  return { text: texts.join(" · ").replace(/^ · /, "  "), style: "dim" };
}

function first<Value>(values: Iterable<Value>, limit: number): Value[] {
  const taken: Value[] = [];
  for (const value of values) {
    if (taken.length >= limit) break;
    taken.push(value);
  }
  return taken;
}
