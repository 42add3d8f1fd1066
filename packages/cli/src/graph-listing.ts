import type { Pipeline } from "weftline";
import { count, exactDuration, padEnd, plainLine, shortList, widest } from "./text.js";

type Plan = Pipeline["plan"];
type TaskDefinition = Plan["tasks"][number];

/** The options a listing tells, each as text; `undefined`: the task does not use it. */
interface Options {
  readonly retry: string | undefined;
  readonly timeout: string | undefined;
  readonly executor: string | undefined;
}

/** A task in the listing, with how deep it stands in groups. */
interface Row {
  readonly task: TaskDefinition;
  readonly depth: number;
  /** `2`, or `2.1` inside a group; empty for the further tasks of a step. */
  readonly number: string;
}

type Listed = Pick<Pipeline, "id" | "title" | "description" | "plan">;

/**
 * A pipeline as text, in topological order: the tasks of one step need only tasks of earlier steps. Those of a group
 * follow it, with steps of their own. What most tasks share is said once, above.
 */
export function listGraph(pipeline: Listed): string {
  const { plan } = pipeline;
  const rows = rowsInside(plan, stepsOf(plan), -1, "", 0);
  const common = commonOptions(plan.tasks.filter(runsCode).map(optionsOf));
  const numberWidth = widest(rows.map(({ number }) => number));
  const names = rows.map(({ task, depth }) => `${"  ".repeat(depth)}${task.id}`);
  const nameWidth = widest(names);
  const lines = rows.map(({ task, number }, place) => {
    const facts = [...describeTask(task, plan), ...deviations(optionsOf(task), runsCode(task) ? common : NO_OPTIONS)];
    return `${padEnd(number, numberWidth)}  ${padEnd(names[place]!, nameWidth)}  ${facts.join("; ")}`.trimEnd();
  });
  const steps = new Set(rows.filter(({ depth, number }) => depth === 0 && number !== "")).size;
  return [...heading(pipeline, steps, common), "", ...lines, ""].join("\n");
}

/** The tasks directly inside a group (-1: the pipeline), step by step, groups with what is inside them. */
function rowsInside(plan: Plan, steps: Int32Array, group: number, prefix: string, depth: number): Row[] {
  const inside = plan.tasks.filter(({ position }) => plan.parent[position] === group);
  inside.sort((a, b) => plan.rank[a.position]! - plan.rank[b.position]!);
  inside.sort((a, b) => steps[a.position]! - steps[b.position]!);
  const rows: Row[] = [];
  inside.forEach((task, place) => {
    const step = steps[task.position]!;
    const isFirst = place === 0 || steps[inside[place - 1]!.position] !== step;
    const number = `${prefix}${step + 1}`;
    rows.push({ task, depth, number: isFirst || task.kind === "group" ? number : "" });
    if (task.kind !== "group") return;
    for (const row of rowsInside(plan, steps, task.position, `${number}.`, depth + 1)) rows.push(row);
  });
  return rows;
}

/** Whether the options for attempts say anything about it. */
function runsCode({ kind }: TaskDefinition): boolean {
  return kind !== "group" && kind !== "sleep" && kind !== "signal";
}

function heading({ id, title, description, plan }: Listed, steps: number, common: Options): string[] {
  const groups = plan.tasks.filter(({ kind }) => kind === "group").length;
  const size = [count(plan.tasks.length - groups, "task"), ...(groups > 0 ? [count(groups, "group")] : [])];
  const lines = [`${id}: ${size.join(" and ")} in ${count(steps, "step")}, ${count(plan.successors.length, "edge")}`];
  for (const text of [title, description]) if (text !== undefined) lines.push(plainLine(text));
  const shared = Object.values(common).filter((option) => option !== undefined);
  if (shared.length > 0) lines.push(`Unless said otherwise: ${shared.join("; ")}`);
  return lines;
}

/** The length of the longest way to each task inside its group, by position. */
function stepsOf(plan: Plan): Int32Array {
  const steps = new Int32Array(plan.tasks.length);
  const inOrder = new Int32Array(plan.tasks.length);
  plan.rank.forEach((rank, position) => {
    inOrder[rank] = position;
  });
  for (const position of inOrder) {
    for (let edge = plan.successorStart[position]!; edge < plan.successorStart[position + 1]!; edge++) {
      const successor = plan.successors[edge]!;
      steps[successor] = Math.max(steps[successor]!, steps[position]! + 1);
    }
  }
  return steps;
}

function describeTask(task: TaskDefinition, plan: Plan): string[] {
  const facts: string[] = [];
  const { policy } = task;
  const upstream = describeUpstream(task, plan);
  if (upstream !== "") facts.push(upstream);
  facts.push(...describeKind(task, plan));
  if (policy.teardown) facts.push(policy.failRun ? "teardown that may fail the run" : "teardown");
  else if (policy.triggerRule !== "all-success") facts.push(`rule ${policy.triggerRule}`);
  if (policy.when !== undefined) facts.push("conditional");
  if (policy.allowFailure) facts.push("may fail");
  facts.push(...describeLimits(policy));
  if (policy.cache !== undefined) facts.push(`cached for ${exactDuration(policy.cache.ttlMs)}`);
  if (policy.expect !== undefined) facts.push(`expects ${shortList(Object.keys(policy.expect).map(plainLine), 3)}`);
  if (policy.produces.length > 0) facts.push(`produces ${shortList(policy.produces.map(plainLine), 3)}`);
  return facts;
}

function describeLimits({ concurrency, keyed, rateLimit, pool, slots }: TaskDefinition["policy"]): string[] {
  const facts: string[] = [];
  if (concurrency !== undefined) facts.push(`${concurrency} at once`);
  if (keyed !== undefined) facts.push(`${keyed.limit} at once for each key`);
  if (rateLimit !== undefined) {
    const each = rateLimit.key === undefined ? "" : " for each key";
    facts.push(`${rateLimit.limit} starts in ${exactDuration(rateLimit.perMs)}${each}`);
  }
  if (pool !== undefined) facts.push(`pool ${plainLine(pool)}${slots === 1 ? "" : ` (${slots} slots)`}`);
  return facts;
}

function describeKind(task: TaskDefinition, plan: Plan): string[] {
  const { child, sleepMs, isUntil, everyMs, signalKey, severity } = task.extra;
  switch (task.kind) {
    case "task":
      return [];
    case "map":
      return [describeMap("map", task, plan)];
    case "group":
      return [task.isMapped ? describeMap("group for each item", task, plan) : "group"];
    case "branch":
      return [`branch${describeChoices(task, plan)}`];
    case "run":
      return [`runs pipeline ${child!.id}`];
    case "sleep":
      return [sleepMs === undefined ? `sleeps${isUntil ? " until a moment" : ""}` : `sleeps ${exactDuration(sleepMs)}`];
    case "poll":
      return [`looks every ${exactDuration(everyMs!)}`];
    case "signal":
      return [signalKey === undefined ? "waits for a signal" : "waits for a signal to it or its key"];
    case "check":
      return [severity === "warning" ? "check that only warns" : "check"];
  }
}

/** `← fetch, gate = deploy, (clean-up)`: in parentheses what comes before without being read. */
function describeUpstream(task: TaskDefinition, plan: Plan): string {
  const idOf = (position: number) => plan.tasks[position]!.id;
  const read = new Set(plan.needsOf(task.position).map((need) => need.from));
  if (task.over && "from" in task.over) read.add(task.over.from);
  const choices = new Map<number, string[]>();
  for (const { from, choice } of task.after) {
    if (!choices.has(from)) choices.set(from, []);
    if (choice !== undefined) choices.get(from)!.push(plainLine(choice));
  }
  const names = [...read].filter((from) => !choices.get(from)?.length).map(idOf);
  for (const [from, chosen] of choices) {
    if (chosen.length > 0) names.push(`${idOf(from)} = ${chosen.join(" or ")}`);
    else if (!read.has(from)) names.push(`(${idOf(from)})`);
  }
  return names.length === 0 ? "" : `← ${names.join(", ")}`;
}

function describeMap(what: string, { over, position }: TaskDefinition, plan: Plan): string {
  if (over !== undefined && "items" in over)
    return `${what === "map" ? "map over" : "group for each of"} ${count(over.items.length, "item")}`;
  // Where it waits for one task only, that is the one that makes its list.
  const isObvious = over === undefined || plan.inDegree[position] === 1;
  return isObvious ? what : `${what}${what === "map" ? " over" : " of"} ${plan.tasks[over.from]!.id}`;
}

function describeChoices(task: TaskDefinition, plan: Plan): string {
  const choices = new Set<string>();
  for (let edge = plan.successorStart[task.position]!; edge < plan.successorStart[task.position + 1]!; edge++) {
    for (const choice of plan.choices.get(edge) ?? []) choices.add(plainLine(choice));
  }
  return choices.size === 0 ? "" : ` ${[...choices].join(" | ")}`;
}

function optionsOf({ retry, timeouts, executor }: TaskDefinition): Options {
  return {
    retry: retry.attempts === 1 ? undefined : describeRetry(retry),
    timeout: describeTimeouts(timeouts),
    executor: executor === "default" ? undefined : `executor ${plainLine(executor)}`,
  };
}

function describeRetry({ attempts, delayMs, backoff, maxDelayMs, jitter }: TaskDefinition["retry"]): string {
  const growth = backoff === "fixed" ? "" : `, ${backoff} to ${exactDuration(maxDelayMs)}`;
  return `${attempts} attempts (${exactDuration(delayMs)} apart${growth}${jitter === "full" ? ", jitter" : ""})`;
}

function describeTimeouts({ attemptMs, totalMs }: TaskDefinition["timeouts"]): string | undefined {
  if (attemptMs === undefined && totalMs === undefined) return undefined;
  const limits = [
    ...(attemptMs === undefined ? [] : [exactDuration(attemptMs)]),
    ...(totalMs === undefined ? [] : [`${exactDuration(totalMs)} in all`]),
  ];
  return `timeout ${limits.join(", ")}`;
}

const OPTION_NAMES = ["retry", "timeout", "executor"] as const;

/** Of each option the value more than half of the tasks have; for a single task there is nothing to share. */
function commonOptions(all: readonly Options[]): Options {
  const [retry, timeout, executor] = OPTION_NAMES.map((name) => {
    const counts = new Map<string, number>();
    for (const options of all) {
      const value = options[name];
      if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    const [most] = [...counts].sort((a, b) => b[1] - a[1]);
    return most !== undefined && all.length > 1 && most[1] > all.length / 2 ? most[0] : undefined;
  });
  return { retry, timeout, executor };
}

const NO_OPTIONS: Options = { retry: undefined, timeout: undefined, executor: undefined };

function deviations(options: Options, common: Options): string[] {
  const absent = { retry: "1 attempt", timeout: "no timeout", executor: "executor default" };
  return OPTION_NAMES.filter((name) => options[name] !== common[name]).map((name) => options[name] ?? absent[name]);
}
