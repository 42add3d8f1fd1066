import { createHash } from "node:crypto";
import fc from "fast-check";
import type { Builder } from "../define/builder.js";
import type { Node, TaskHandle } from "../define/handles.js";
import { type Pipeline, pipeline } from "../define/pipeline.js";
import { TRIGGER_RULES, type TriggerRule } from "../define/trigger-rules.js";

/** What a task does, or an item of a map; a flaky one fails once for each place and succeeds from then on. */
type Doing = "succeed" | "fail" | "skip" | "flaky";

/** A task, or a group of tasks, of a random pipeline. It may come after everything before it in the scopes around it. */
export interface RandomNode {
  readonly kind: "task" | "map" | "branch" | "group" | "mapped";
  readonly rule: TriggerRule;
  readonly allowFailure: boolean;
  readonly upstream: readonly number[];
  /** By item, taken in turn. */
  readonly doing: readonly Doing[];
  /** How many turns of the event loop an attempt takes. */
  readonly turns: number;
  readonly items: number;
  readonly fromList: boolean;
  readonly choice: "left" | "right";
  readonly concurrency: number | undefined;
  /** Whether its tasks are retried with their group: only where nothing in it fails for ever, or may fail. */
  readonly retried: boolean;
  readonly inside: readonly RandomNode[];
}

const RULES: readonly TriggerRule[] = [...Array.from({ length: 20 }, () => "all-success" as const), ...TRIGGER_RULES];

const LEAVES: readonly RandomNode["kind"][] = ["task", "task", "map", "branch"];
const GROUPS: readonly RandomNode["kind"][] = ["group", "mapped", "mapped"];
const MAX_DEPTH = 2;

function nodesAt(depth: number): fc.Arbitrary<readonly RandomNode[]> {
  return fc.array(depth < MAX_DEPTH ? fc.oneof(nodeOf(LEAVES, depth), nodeOf(GROUPS, depth)) : nodeOf(LEAVES, depth), {
    minLength: 1,
    maxLength: depth === 0 ? 5 : 3,
    size: "max",
  });
}

function nodeOf(kinds: readonly RandomNode["kind"][], depth: number): fc.Arbitrary<RandomNode> {
  const oneOf = (limit: number) => fc.nat({ max: limit - 1 }).map((n) => n === 0);
  return fc
    .record({
      kind: fc.constantFrom(...kinds),
      rule: fc.constantFrom(...RULES),
      allowFailure: oneOf(8),
      upstream: fc.array(fc.nat({ max: 20 }), { maxLength: 3 }),
      doing: fc.oneof(
        { weight: 3, arbitrary: fc.constantFrom<Doing[]>(["succeed"], ["flaky"], ["flaky", "succeed"]) },
        fc.array(fc.constantFrom<Doing>("succeed", "fail", "skip", "flaky"), { minLength: 1, maxLength: 3 }),
      ),
      turns: fc.nat({ max: 3 }),
      items: fc.nat({ max: 3 }),
      fromList: fc.boolean(),
      choice: fc.constantFrom<RandomNode["choice"]>("left", "right"),
      concurrency: fc.constantFrom(undefined, undefined, 1, 2),
      retried: fc.boolean(),
      inside: kinds === LEAVES ? fc.constant([]) : nodesAt(depth + 1),
    })
    .map((node) => ({ ...node, retried: node.retried && node.inside.length > 0 && mendsItself(node) }));
}

/**
 * Pipelines of tasks, maps, branches, and groups up to two deep. In each of them something fails or something is skipped,
 * never both: which of the two comes first would decide what becomes of a task behind both.
 */
export const randomNodes: fc.Arbitrary<readonly RandomNode[]> = fc
  .tuple(nodesAt(0), fc.boolean())
  .map(([nodes, hasFailures]) => nodes.map(hasFailures ? withoutSkips : (node) => withoutFailures(node, false)));

/** Rules that skip only what comes after something skipped. */
const NEVER_SKIPPING: readonly TriggerRule[] = [
  "all-success",
  "all-done",
  "none-skipped",
  "one-success",
  "none-failed",
  "always",
];

function withoutSkips(node: RandomNode): RandomNode {
  return {
    ...node,
    rule: NEVER_SKIPPING.includes(node.rule) ? node.rule : "all-success",
    kind: node.kind === "branch" ? "task" : node.kind,
    items: Math.max(1, node.items),
    doing: node.doing.map((doing) => (doing === "skip" ? "succeed" : doing)),
    inside: node.inside.map(withoutSkips),
  };
}

function withoutFailures(node: RandomNode, isRetried: boolean): RandomNode {
  const isInRetried = isRetried || node.retried;
  const fails = (doing: Doing) => doing === "fail" || (doing === "flaky" && !isRetried);
  return {
    ...node,
    doing: node.doing.map((doing) => (fails(doing) ? "succeed" : doing)),
    inside: node.inside.map((inner) => withoutFailures(inner, isInRetried)),
  };
}

/** Whether every task inside succeeds when it is tried often enough, so that the order of failures cannot matter. */
function mendsItself({ inside }: RandomNode): boolean {
  return inside.every((node) => !node.allowFailure && !node.doing.includes("fail") && mendsItself(node));
}

/** What an attempt of a random task has to say about itself. */
export interface Attempted {
  readonly name: string;
  readonly doing: Doing;
  readonly turns: number;
  readonly signal: AbortSignal;
}

/** Whether a rule waits for all of its upstream, so that what a task reads does not depend on when it started. */
const WAITING_RULES: readonly TriggerRule[] = ["all-success", "all-done", "none-failed", "all-done-min-one-success"];
const RETRY = { attempts: 100, delay: 0 } as const;

/** @param attempt - Does what a task does: the pipeline itself only wires. */
export function randomPipelineOf(
  nodes: readonly RandomNode[],
  attempt: (what: Attempted) => unknown = () => undefined,
): Pipeline<Record<never, never>, unknown> {
  return pipeline("random", (p) => addNodes(p as AnyBuilder, nodes, [], attempt));
}

type AnyBuilder = Builder<unknown, { readonly item: unknown; readonly index: number }>;

interface Visible {
  readonly handle: Node<unknown>;
  readonly node: RandomNode;
  readonly depth: number;
}

function addNodes(
  builder: AnyBuilder,
  nodes: readonly RandomNode[],
  around: readonly Visible[],
  attempt: (what: Attempted) => unknown,
  depth = 0,
): Record<string, Node<unknown>> {
  const visible = [...around];
  const own: Record<string, Node<unknown>> = {};
  for (const [place, node] of nodes.entries()) {
    const handle = addNode(builder, `${node.kind[0]}${place}`, node, visible, attempt, depth);
    visible.push({ handle, node, depth });
    own[`n${place}`] = handle;
  }
  return own;
}

function addNode(
  builder: AnyBuilder,
  id: string,
  node: RandomNode,
  visible: readonly Visible[],
  attempt: (what: Attempted) => unknown,
  depth: number,
): Node<unknown> {
  const chosen = visible.length === 0 ? [] : [...new Set(node.upstream.map((back) => visible[back % visible.length]!))];
  const after = chosen.map(({ handle, node: before, depth: at }, place) =>
    // A path leads to something beside its branch.
    before.kind === "branch" && at === depth && place === 0 ? (handle as TaskHandle).when(node.choice) : handle,
  );
  const needs = Object.fromEntries(chosen.map(({ handle }, place) => [`n${place}`, handle]));
  const { allowFailure, rule, concurrency, items } = node;
  const over = listFor(node, chosen) ?? (Array.from({ length: items }, (_, item) => item) as unknown[]);
  const run = async (context: {
    input: object;
    index?: number;
    signal: AbortSignal;
    task: { id: string };
    idempotencyKey: string;
  }) => {
    const name = context.idempotencyKey.replace(/^[^/]*\//, "").replace(/@\d+$/, "");
    const doing = node.doing[(context.index ?? 0) % node.doing.length]!;
    await attempt({ name, doing, turns: node.turns, signal: context.signal });
    if (node.kind === "branch") return node.doing.length > 1 ? "left" : "right";
    return WAITING_RULES.includes(rule) ? `${name}:${digest(context.input)}` : name;
  };
  const retry = node.retried ? { retry: RETRY } : {};
  const limit = concurrency === undefined ? {} : { concurrency };
  const build = (g: AnyBuilder) =>
    addNodes(
      g,
      node.inside,
      visible.filter(({ node: { kind } }) => kind !== "branch"),
      attempt,
      depth + 1,
    );
  const options = { needs, after, allowFailure, triggerRule: rule };
  if (node.kind === "group") return builder.group(id, { after, allowFailure, ...retry, ...limit }, build as never);
  if (node.kind === "mapped")
    return builder.group(id, { after, allowFailure, over, ...retry, ...limit }, build as never);
  if (node.kind === "map") return builder.map(id, { ...options, over, ...limit }, run as never);
  if (node.kind === "branch") return builder.branch(id, options, run as never);
  return builder.task(id, options, run as never);
}

/** Only where it is waited for: what has not ended is no list. */
function listFor({ fromList, kind, rule }: RandomNode, chosen: readonly Visible[]): Node<unknown[]> | undefined {
  if (kind === "map" && rule !== "all-success") return undefined;
  const list = chosen.find(({ node }) => node.kind === "map" || node.kind === "mapped");
  return fromList ? (list?.handle as Node<unknown[]> | undefined) : undefined;
}

function digest(input: unknown): string {
  return createHash("md5").update(JSON.stringify(input)).digest("hex").slice(0, 6);
}
