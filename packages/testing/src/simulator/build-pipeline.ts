import { type Builder, every, type Node, type Pipeline, pipeline, type TriggerRule } from "weftline";
import { attempt, cacheKeyOf, nameOf, type SimulatedContext } from "./task-code.js";
import type { NodeSpec, PipelineSpec } from "./world.js";

/** Whether a rule waits for all of its upstream, so that what a task reads does not depend on when it started. */
const WAITING_RULES: readonly TriggerRule[] = ["all-success", "all-done", "none-failed", "all-done-min-one-success"];

type AnyBuilder = Builder<{ readonly token: string }>;
type BranchLike = Node<unknown> & { when(choice: string): never };

interface Visible {
  readonly handle: Node<unknown>;
  readonly node: NodeSpec;
  readonly depth: number;
}

/** Params as they come: clients of a simulation make no mistakes. */
export const TOKEN_PARAMS = {
  "~standard": { version: 1, vendor: "simulator", validate: (value: unknown) => ({ value }) },
} as const;

/** @param version - From 0. Each adds a task to the one before, so that runs of one cannot go on under another. */
export function buildPipeline(spec: PipelineSpec, version: number): Pipeline<{ token: string }> {
  const { id, everyMs, timeoutMs, maxActiveRuns, failFast, failWhen } = spec;
  const params = ({ instant }: { readonly instant: number }) => ({ token: scheduledToken(instant) });
  const options = {
    params: TOKEN_PARAMS as never,
    failFast,
    failWhen,
    ...(timeoutMs !== undefined && { timeout: timeoutMs }),
    ...(maxActiveRuns !== undefined && { maxActiveRuns }),
    ...(everyMs !== undefined && { schedule: every(everyMs, { params }) }),
  };
  return pipeline(id, options, (p) => {
    const later = Array.from({ length: version }, (_, place) => place + 1);
    if (spec.addsFirst) for (const added of later) p.task(`added${added}`, () => added);
    const nodes = addNodes(p as unknown as AnyBuilder, id, spec.nodes, [], 0);
    if (!spec.addsFirst) for (const added of later) p.task(`added${added}`, { after: [nodes.n0!] }, () => added);
    return nodes;
  }) as Pipeline<{ token: string }>;
}

function scheduledToken(instant: number): string {
  return `tokAt${instant}`;
}

function addNodes(
  builder: AnyBuilder,
  pipelineId: string,
  nodes: readonly NodeSpec[],
  around: readonly Visible[],
  depth: number,
): Record<string, Node<unknown>> {
  const visible = [...around];
  const own: Record<string, Node<unknown>> = {};
  for (const [place, node] of nodes.entries()) {
    const handle = addNode(builder, pipelineId, `${node.kind}${place}`, node, visible, depth);
    visible.push({ handle, node, depth });
    own[`n${place}`] = handle;
  }
  return own;
}

function addNode(
  builder: AnyBuilder,
  pipelineId: string,
  id: string,
  node: NodeSpec,
  visible: readonly Visible[],
  depth: number,
): Node<unknown> {
  const chosen =
    visible.length === 0 ? [] : [...new Set(node.upstream.map((place) => visible[place % visible.length]!))];
  const options = optionsOf(node, chosen, depth);
  const readsInput = WAITING_RULES.includes(node.rule);
  const run = ((context: SimulatedContext) => attempt(node, context, readsInput)) as never;
  const list = listFor(node, chosen) ?? Array.from({ length: node.items }, (_, item) => item);
  const { after, allowFailure, retry, concurrency } = options;
  const cached = cacheOf(node);
  const groupOptions = {
    after,
    allowFailure,
    ...(retry && { retry }),
    ...(concurrency !== undefined && { concurrency }),
  };
  const inside = (g: unknown) =>
    addNodes(g as AnyBuilder, pipelineId, node.inside, visible.filter(isReadable), depth + 1) as never;
  switch (node.kind) {
    case "task":
      return builder.task(id, { ...options, ...cached }, run);
    case "map":
      return builder.map(id, { ...options, ...cached, over: list as never }, run);
    case "branch":
      return builder.branch(id, options, run) as unknown as Node<unknown>;
    case "poll":
      return builder.poll(id, { ...options, every: node.workMs }, run);
    case "sleep":
      return builder.sleep(id, { ...wiringOf(options), for: node.workMs } as never);
    case "signal":
      return builder.signal(id, { ...wiringOf(options), ...(node.hasKey && { key: signalKey }) } as never);
    case "group":
      return builder.group(id, groupOptions, inside);
    case "mapped":
      return builder.group(id, { ...groupOptions, over: list as never }, inside);
    case "run":
      return builder.run(id, childPipeline(`${pipelineId}-${id}`, node), { ...options, params: paramsOf } as never);
  }
}

function childPipeline(id: string, node: NodeSpec): Pipeline<{ token: string }> {
  return pipeline(id, { params: TOKEN_PARAMS as never }, (p) =>
    addNodes(p as unknown as AnyBuilder, id, node.inside, [], 1),
  ) as Pipeline<{ token: string }>;
}

function paramsOf({ params }: SimulatedContext): { readonly token: string } {
  return params;
}

/** The key that a signal of this task of a run with this token is sent to. */
function signalKeyOf(token: string, task: string): string {
  return `${token} ${task}`;
}

function signalKey({ params, task }: SimulatedContext): string {
  return signalKeyOf(params.token, nameOf({ task: task.id, index: [] }));
}

interface Options {
  readonly needs: Readonly<Record<string, Node<unknown>>>;
  readonly after: readonly never[];
  readonly triggerRule: TriggerRule;
  readonly allowFailure: boolean;
  readonly retry?: NodeSpec["retry"] & object;
  readonly timeout?: { readonly attempt?: number; readonly total?: number };
  readonly concurrency?: number;
  readonly pool?: string;
  readonly slots?: number;
}

function optionsOf(node: NodeSpec, chosen: readonly Visible[], depth: number): Options {
  const { allowFailure, rule, concurrency, retry, timeoutMs, totalMs, slots } = node;
  const after = chosen.map(({ handle, node: before, depth: at }, place) =>
    // A path leads to something beside its branch.
    before.kind === "branch" && at === depth && place === 0
      ? (handle as BranchLike).when(node.choice)
      : (handle as never),
  );
  const needs = Object.fromEntries(chosen.map(({ handle }, place) => [`n${place}`, handle]));
  const timeout = {
    ...(timeoutMs !== undefined && { attempt: timeoutMs }),
    ...(totalMs !== undefined && { total: totalMs }),
  };
  return {
    needs,
    after,
    triggerRule: rule,
    allowFailure,
    ...(retry && { retry: { attempts: retry.attempts, delay: retry.delayMs, backoff: retry.backoff } as never }),
    ...(Object.keys(timeout).length > 0 && { timeout }),
    ...(concurrency !== undefined && { concurrency }),
    ...(slots !== undefined && { pool: POOL, slots }),
  };
}

/** What waits holds no slot, and is not tried again. */
function wiringOf({ needs, after, triggerRule, allowFailure }: Options): Partial<Options> {
  return { needs, after, triggerRule, allowFailure };
}

function cacheOf(node: NodeSpec) {
  if (node.cache === undefined) return undefined;
  const key = (context: unknown) => cacheKeyOf(node, context as SimulatedContext);
  return { cache: { key, ttl: node.cache.ttlMs } };
}

/** The pool that every simulated engine has, and its size. */
export const POOL = "scarce";
export const POOL_SIZE = 2;

/** Only where it is waited for: what has not ended is no list. */
function listFor({ fromList, kind, rule }: NodeSpec, chosen: readonly Visible[]): Node<unknown> | undefined {
  if (kind === "map" && rule !== "all-success") return undefined;
  const list = chosen.find(({ node }) => node.kind === "map" || node.kind === "mapped");
  return fromList ? list?.handle : undefined;
}

/** What stands in a group reads no branch outside of it. */
function isReadable({ node }: Visible): boolean {
  return node.kind !== "branch";
}
