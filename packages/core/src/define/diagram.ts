import type { TaskDefinition } from "./definition.js";
import type { Pipeline } from "./pipeline.js";
import type { Plan } from "./plan.js";

/** The pipeline as a Mermaid flowchart: maps as stacked boxes, branches as diamonds, choices on their edges. */
export function toMermaid({ plan }: Pick<Pipeline, "plan">): string {
  const node = (task: TaskDefinition): string => {
    const label = `"${escapeMermaid(labelOf(task))}"`;
    const [open, close] = { task: ["[", "]"], map: ["[[", "]]"], branch: ["{", "}"] }[task.kind] as [string, string];
    return `  t${task.position}${open}${label}${close}`;
  };
  const edge = (from: number, to: number, choices: readonly string[] | undefined): string =>
    choices ? `  t${from} -->|"${escapeMermaid(choices.join(" or "))}"| t${to}` : `  t${from} --> t${to}`;
  return ["flowchart LR", ...plan.tasks.map(node), ...mapEdges(plan, edge), ""].join("\n");
}

/** The pipeline in Graphviz' DOT language, with the same shapes as {@link toMermaid}. */
export function toDot({ id, plan }: Pick<Pipeline, "id" | "plan">): string {
  const shapes = { task: "box", map: "box3d", branch: "diamond" } as const;
  const node = (task: TaskDefinition): string =>
    `  ${quoteDot(task.id)} [label=${quoteDot(labelOf(task))}, shape=${shapes[task.kind]}];`;
  const edge = (from: number, to: number, choices: readonly string[] | undefined): string => {
    const label = choices ? ` [label=${quoteDot(choices.join(" or "))}]` : "";
    return `  ${quoteDot(plan.tasks[from]!.id)} -> ${quoteDot(plan.tasks[to]!.id)}${label};`;
  };
  return [`digraph ${quoteDot(id)} {`, "  rankdir=LR;", ...plan.tasks.map(node), ...mapEdges(plan, edge), "}", ""].join(
    "\n",
  );
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

function labelOf(task: TaskDefinition): string {
  const rule = task.triggerRule === "all-success" ? "" : ` (${task.triggerRule})`;
  return `${task.title ?? task.id}${rule}`;
}

/** Mermaid knows no backslash escapes: quotes and the characters it takes for markup become HTML entities. */
function escapeMermaid(text: string): string {
  return text.replace(/[&"<>#;`]/g, (character) => `#${character.codePointAt(0)};`).replace(/\s+/g, " ");
}

function quoteDot(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&").replace(/\s+/g, " ")}"`;
}
