import { type StepInfo, type TaskDescription, type TaskInfo, type TaskStatus, taskName } from "weftline";
import { describeBriefly } from "../errors.js";
import { isFinal } from "../progress/instance.js";
import type { Span } from "../progress/line.js";
import { describeCounts, describeWait, STATUS_STYLES } from "../progress/status-style.js";
import { count, duration, padEnd, plainLine, widest } from "../text.js";
import type { RunDetails } from "./run-details.js";

const MAX_ITEMS = 20;
const INDENT = "  ";
const TIME_WIDTH = 7;

/** One line of the tree: a task, a step of it, or what was left out. */
interface Row {
  readonly level: number;
  readonly symbol: Span;
  readonly name: Span;
  readonly time: string;
  readonly details: readonly Span[];
}

/** The tasks of a run as a tree: those of groups, the items of lists and the steps of tasks below them. */
export function taskTree(details: RunDetails, now: number): readonly (readonly Span[])[] {
  const rows = new TaskRows(details, now).rows;
  const nameWidth = widest(rows.map(({ level, name }) => INDENT.repeat(level) + name.text));
  return rows.map(({ level, symbol, name, time, details: facts }) => [
    { text: `  ${INDENT.repeat(level)}` },
    symbol,
    { text: padEnd(` ${name.text}`, nameWidth - INDENT.length * level + 1), style: name.style },
    { text: ` ${time.padStart(TIME_WIDTH)}`, style: "dim" },
    ...facts.filter(({ text }) => text !== "").flatMap((fact): Span[] => [{ text: "  " }, fact]),
  ]);
}

class TaskRows {
  readonly rows: Row[] = [];
  readonly #now: number;
  /** What ran then may be what brought the engine down. */
  readonly #isQuarantined: boolean;
  readonly #byName: ReadonlyMap<string, TaskInfo>;
  readonly #items = new Map<string, TaskInfo[]>();
  readonly #steps = new Map<string, StepInfo[]>();
  readonly #children: ReadonlyMap<string, RunDetails["children"][number]>;
  readonly #inside = new Map<string | undefined, TaskDescription[]>();

  constructor({ tasks, steps, children, graph, run }: RunDetails, now: number) {
    this.#now = run.finishedAt ?? now;
    this.#isQuarantined = run.status === "quarantined";
    this.#byName = new Map(tasks.map((task) => [taskName(task.task, task.index), task]));
    for (const task of tasks) {
      if (task.index.length > 0) push(this.#items, taskName(task.task, task.index.slice(0, -1)), task);
    }
    for (const step of steps) push(this.#steps, taskName(step.task, step.index), step);
    this.#children = new Map(children.map((child) => [taskName(child.parent!.task, child.parent!.index), child]));
    for (const task of graph.tasks) push(this.#inside, task.group, task);
    this.#addInside(undefined, [], 0);
  }

  #addInside(group: string | undefined, index: readonly number[], level: number): void {
    for (const task of this.#inside.get(group) ?? []) this.#addTask(task, index, level);
  }

  #addTask(task: TaskDescription, index: readonly number[], level: number): void {
    const record = this.#byName.get(taskName(task.id, index));
    this.#addRow(task, index, record, level);
    if (!task.mapped) {
      if (task.kind === "group") this.#addInside(task.id, index, level + 1);
      return;
    }
    const items = this.#items.get(taskName(task.id, index)) ?? [];
    const shown = choose(items);
    for (const item of shown) {
      this.#addRow(task, item.index, item, level + 1);
      if (task.kind === "group") this.#addInside(task.id, item.index, level + 2);
    }
    this.#addHidden(
      items.filter((item) => !shown.includes(item)),
      level + 1,
    );
  }

  #addRow(task: TaskDescription, index: readonly number[], record: TaskInfo | undefined, level: number): void {
    const status = record?.status ?? "pending";
    const { symbol, style } = STATUS_STYLES[status];
    const name = taskName(task.id, index);
    const isSuspect =
      this.#isQuarantined && status === "running" && task.kind !== "group" && record?.items === undefined;
    const isQuiet = status === "pending" || status === "skipped" || status === "upstream-failed";
    this.rows.push({
      level,
      symbol: { text: symbol, style },
      name: { text: name, style: isQuiet ? "dim" : undefined },
      time: record ? elapsed(record, this.#now) : "",
      details: [
        { text: status === "succeeded" ? "" : isSuspect ? "was running when its engine died" : status, style },
        ...factsOf(record),
      ],
    });
    const child = this.#children.get(name);
    if (child) this.#addNote(level + 1, "→", child.pipeline, `${child.status}, run ${child.id}`);
    for (const { step, startedAt, at } of this.#steps.get(name) ?? []) {
      this.#addNote(level + 1, "-", `step ${plainLine(step)}`, "", duration(at - startedAt));
    }
  }

  #addNote(level: number, symbol: string, name: string, details: string, time = ""): void {
    const span = (text: string): Span => ({ text, style: "dim" });
    this.rows.push({ level, symbol: span(symbol), name: span(name), time, details: [span(details)] });
  }

  #addHidden(items: readonly TaskInfo[], level: number): void {
    if (items.length === 0) return;
    const counts = new Map<TaskStatus, number>();
    for (const { status } of items) counts.set(status, (counts.get(status) ?? 0) + 1);
    this.#addNote(level, "…", describeCounts(counts), "");
  }
}

/** The items that are shown, in their order: first of all those in trouble. */
function choose(items: readonly TaskInfo[]): readonly TaskInfo[] {
  if (items.length <= MAX_ITEMS) return items;
  const importance = ({ status, warning }: TaskInfo) =>
    status === "failed" ? 0 : !isFinal(status) ? 1 : status !== "succeeded" || warning !== undefined ? 2 : 3;
  const chosen = new Set([...items].sort((a, b) => importance(a) - importance(b)).slice(0, MAX_ITEMS));
  return items.filter((item) => chosen.has(item));
}

function factsOf(record: TaskInfo | undefined): Span[] {
  if (record === undefined) return [];
  const { attempts, items, error, reason, warning, cachedFrom, wait, status, task, generation } = record;
  const facts = [
    ...(items === undefined ? [] : [count(items, "item")]),
    ...(attempts > 1 ? [count(attempts, "attempt")] : []),
    ...(generation > 1 ? [`generation ${generation}`] : []),
    ...(cachedFrom === undefined ? [] : [`from cache of run ${cachedFrom}`]),
    ...(error === undefined ? [] : [describeBriefly(error)]),
    ...(reason === undefined ? [] : [plainLine(reason)]),
  ];
  return [
    { text: status === "waiting" && wait ? describeWait(wait, task) : "", style: "cyan" },
    { text: facts.join(" · "), style: "dim" },
    { text: warning === undefined ? "" : `! ${plainLine(warning)}`, style: "yellow" },
  ];
}

function elapsed({ startedAt, finishedAt, status }: TaskInfo, now: number): string {
  if (startedAt === undefined) return "";
  if (finishedAt !== undefined) return duration(finishedAt - startedAt);
  return isFinal(status) ? "" : duration(now - startedAt);
}

function push<Key, Value>(lists: Map<Key, Value[]>, key: Key, value: Value): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}
