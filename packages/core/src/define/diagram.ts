import { checkPipeline } from "./check-pipeline.js";
import type { TaskDefinition, TaskKind } from "./definition.js";
import type { Pipeline } from "./pipeline.js";
import type { Plan } from "./plan.js";

/** Opening and closing brackets of Mermaid's node shapes, and Graphviz' names of theirs. */
const SHAPES: Readonly<Record<Exclude<TaskKind, "group">, { mermaid: readonly [string, string]; dot: string }>> = {
  task: { mermaid: ["[", "]"], dot: "box" },
  map: { mermaid: ["[[", "]]"], dot: "box3d" },
  branch: { mermaid: ["{", "}"], dot: "diamond" },
  run: { mermaid: ["[/", "/]"], dot: "component" },
  sleep: { mermaid: ["(", ")"], dot: "oval" },
  poll: { mermaid: ["(", ")"], dot: "oval" },
  signal: { mermaid: [">", "]"], dot: "cds" },
  check: { mermaid: ["{{", "}}"], dot: "hexagon" },
};

/** The pipeline as a Mermaid flowchart: maps as stacked boxes, branches as diamonds, choices on their edges, groups as frames. */
export function toMermaid(pipeline: Pick<Pipeline, "plan">): string {
  checkPipeline(pipeline, "toMermaid()");
  const { plan } = pipeline;
  const node = (task: TaskDefinition, depth: number): string => {
    const [open, close] = SHAPES[task.kind as keyof typeof SHAPES].mermaid;
    return `${indent(depth)}t${task.position}${open}"${escapeMermaid(labelOf(task))}"${close}`;
  };
  const frame = (group: TaskDefinition, depth: number, inside: readonly string[]): readonly string[] => [
    `${indent(depth)}subgraph t${group.position}["${escapeMermaid(labelOf(group))}"]`,
    ...inside,
    `${indent(depth)}end`,
  ];
  const edge = (from: number, to: number, choices: readonly string[] | undefined): string =>
    choices ? `  t${from} -->|"${escapeMermaid(choices.join(" or "))}"| t${to}` : `  t${from} --> t${to}`;
  return ["flowchart LR", ...nodesOf(plan, -1, 1, node, frame), ...mapEdges(plan, edge), ""].join("\n");
}

/** The pipeline in Graphviz' DOT language, with the same meaning as {@link toMermaid}. */
export function toDot(pipeline: Pick<Pipeline, "id" | "plan">): string {
  checkPipeline(pipeline, "toDot()");
  const { id, plan } = pipeline;
  const node = (task: TaskDefinition, depth: number): string => {
    const shape = SHAPES[task.kind as keyof typeof SHAPES].dot;
    return `${indent(depth)}${quoteDot(task.id)} [label=${quoteDot(labelOf(task))}, shape=${shape}];`;
  };
  const frame = (group: TaskDefinition, depth: number, inside: readonly string[]): readonly string[] => [
    `${indent(depth)}subgraph ${quoteDot(`cluster_${group.position}`)} {`,
    `${indent(depth + 1)}label=${quoteDot(labelOf(group))};`,
    ...inside,
    `${indent(depth)}}`,
  ];
  const edge = (from: number, to: number, choices: readonly string[] | undefined): string => {
    const attributes = [
      ...(choices ? [`label=${quoteDot(choices.join(" or "))}`] : []),
      ...(plan.tasks[from]!.kind === "group" ? [`ltail=${quoteDot(`cluster_${from}`)}`] : []),
      ...(plan.tasks[to]!.kind === "group" ? [`lhead=${quoteDot(`cluster_${to}`)}`] : []),
    ];
    const ends = `${quoteDot(plan.tasks[drawn(plan, from)]!.id)} -> ${quoteDot(plan.tasks[drawn(plan, to)]!.id)}`;
    return `  ${ends}${attributes.length > 0 ? ` [${attributes.join(", ")}]` : ""};`;
  };
  const head = [`digraph ${quoteDot(id)} {`, "  rankdir=LR;", ...(plan.hasGroups ? ["  compound=true;"] : [])];
  return [...head, ...nodesOf(plan, -1, 1, node, frame), ...mapEdges(plan, edge), "}", ""].join("\n");
}

/** The tasks directly inside a group (-1: the pipeline), groups with what is inside them. */
function nodesOf(
  plan: Plan,
  group: number,
  depth: number,
  node: (task: TaskDefinition, depth: number) => string,
  frame: (group: TaskDefinition, depth: number, inside: readonly string[]) => readonly string[],
): string[] {
  const lines: string[] = [];
  const first = group + 1;
  const end = group < 0 ? plan.tasks.length : first + plan.tasks[group]!.extra.size!;
  for (let position = first; position < end; position++) {
    const task = plan.tasks[position]!;
    if (task.kind !== "group") {
      lines.push(node(task, depth));
      continue;
    }
    for (const line of frame(task, depth, nodesOf(plan, position, depth + 1, node, frame))) lines.push(line);
    position += task.extra.size!;
  }
  return lines;
}

/** Graphviz draws edges between nodes only: a group is stood for by the first task in it that is none. */
function drawn(plan: Plan, position: number): number {
  let at = position;
  while (plan.tasks[at]!.kind === "group") at++;
  return at;
}

function mapEdges(
  plan: Plan,
  show: (from: number, to: number, choices: readonly string[] | undefined) => string,
): string[] {
  const lines: string[] = [];
  for (const { position } of plan.tasks) {
    for (let e = plan.successorStart[position]!; e < plan.successorStart[position + 1]!; e++) {
      lines.push(show(position, plan.successors[e]!, plan.choices.get(e)));
    }
  }
  return lines;
}

function labelOf({ id, policy, isMapped, kind }: TaskDefinition): string {
  const rule = policy.teardown ? " (teardown)" : policy.triggerRule === "all-success" ? "" : ` (${policy.triggerRule})`;
  return `${policy.title ?? id}${kind === "group" && isMapped ? " × items" : ""}${rule}`;
}

function indent(depth: number): string {
  return "  ".repeat(depth);
}

/** Mermaid knows no backslash escapes: quotes and the characters it takes for markup become HTML entities. */
function escapeMermaid(text: string): string {
  return text.replace(/[&"<>#;`]/g, (character) => `#${character.codePointAt(0)};`).replace(/\s+/g, " ");
}

function quoteDot(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&").replace(/\s+/g, " ")}"`;
}
