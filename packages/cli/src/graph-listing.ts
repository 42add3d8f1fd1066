import type { Pipeline } from "weftline";
import { count, exactDuration, padEnd, plainLine, widest } from "./text.js";

type Plan = Pipeline["plan"];
type TaskDefinition = Plan["tasks"][number];

/** The options a listing tells, each as text; `undefined`: the task does not use it. */
interface Options {
  readonly retry: string | undefined;
  readonly timeout: string | undefined;
  readonly executor: string | undefined;
}

/**
 * A pipeline as text, in topological order: the tasks of one step need only tasks of earlier steps. What most tasks
 * share is said once, above.
 */
export function listGraph(pipeline: Pick<Pipeline, "id" | "title" | "description" | "plan">): string {
  const { plan } = pipeline;
  const steps = stepsOf(plan);
  const common = commonOptions(plan.tasks.map(optionsOf));
  const ordered = [...plan.tasks].sort((a, b) => plan.rank[a.position]! - plan.rank[b.position]!);
  ordered.sort((a, b) => steps[a.position]! - steps[b.position]!);
  const lastStep = Math.max(...steps);
  const stepWidth = String(lastStep + 1).length;
  const nameWidth = widest(plan.tasks.map((task) => task.id));
  const lines = ordered.map((task, place) => {
    const step = steps[task.position]!;
    const isFirst = place === 0 || steps[ordered[place - 1]!.position] !== step;
    const number = (isFirst ? String(step + 1) : "").padStart(stepWidth);
    const facts = [...describeTask(task, plan), ...deviations(optionsOf(task), common)];
    return `${number}  ${padEnd(task.id, nameWidth)}  ${facts.join("; ")}`.trimEnd();
  });
  return [...heading(pipeline, lastStep + 1, common), "", ...lines, ""].join("\n");
}

function heading(
  { id, title, description, plan }: Pick<Pipeline, "id" | "title" | "description" | "plan">,
  steps: number,
  common: Options,
): string[] {
  const lines = [
    `${id}: ${count(plan.tasks.length, "task")} in ${count(steps, "step")}, ${count(plan.successors.length, "edge")}`,
  ];
  for (const text of [title, description]) if (text !== undefined) lines.push(plainLine(text));
  const shared = Object.values(common).filter((option) => option !== undefined);
  if (shared.length > 0) lines.push(`Unless said otherwise: ${shared.join("; ")}`);
  return lines;
}

/** The length of the longest way to each task, by position. */
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
  const upstream = describeUpstream(task, plan);
  if (upstream !== "") facts.push(upstream);
  if (task.kind === "map") facts.push(describeMap(task, plan));
  if (task.kind === "branch") facts.push(`branch${describeChoices(task, plan)}`);
  if (task.triggerRule !== "all-success") facts.push(`rule ${task.triggerRule}`);
  if (task.when !== undefined) facts.push("conditional");
  if (task.allowFailure) facts.push("may fail");
  if (task.concurrency !== undefined) facts.push(`${task.concurrency} at once`);
  return facts;
}

/** `← fetch, gate = deploy, (clean-up)`: in parentheses what comes before without being read. */
function describeUpstream(task: TaskDefinition, plan: Plan): string {
  const idOf = (position: number) => plan.tasks[position]!.id;
  const read = new Set(task.needs.map((need) => need.from));
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

function describeMap({ over, position }: TaskDefinition, plan: Plan): string {
  if (over !== undefined && "items" in over) return `map over ${count(over.items.length, "item")}`;
  // Where it waits for one task only, that is the one that makes its list.
  const isObvious = over === undefined || plan.inDegree[position] === 1;
  return isObvious ? "map" : `map over ${plan.tasks[over.from]!.id}`;
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

function deviations(options: Options, common: Options): string[] {
  const absent = { retry: "1 attempt", timeout: "no timeout", executor: "executor default" };
  return OPTION_NAMES.filter((name) => options[name] !== common[name]).map((name) => options[name] ?? absent[name]);
}
