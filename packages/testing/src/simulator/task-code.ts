import { NonRetryableError, SkipTask } from "weftline";
import { hash } from "./dice.js";
import type { NodeSpec } from "./world.js";

/** Text that the simulated store cannot keep. */
export const UNSTORABLE = "unstorable";

/** What task code says about itself, to somebody whom the engine cannot reach. */
export interface Said {
  readonly runId: string;
  readonly task: string;
  readonly index: readonly number[];
  readonly attempt: number;
  readonly key: string;
  readonly input: Readonly<Record<string, unknown>>;
}
export type Ended = { readonly value: unknown } | { readonly error: Error } | "aborted";

/** An attempt with what tells this execution of it apart from others. */
type Executed = Said & { readonly execution: string };

/** The process that task code runs in, as far as it uses it. */
export interface TaskHost {
  /** Settles after that much work, or rejects when it is told to stop; never when the process ends before. */
  work(ms: number, signal: AbortSignal | undefined): Promise<void>;
  /** How often something has happened under this name so far, in the whole world: what systems outside remember. */
  count(name: string): number;
  /** @returns What tells this execution apart from others. */
  started(said: Said): string;
  ended(said: Said, execution: string, end: Ended): void;
}

/** The part of a task's context that simulated tasks use. */
export interface SimulatedContext {
  readonly input: Readonly<Record<string, unknown>>;
  readonly params: { readonly token: string };
  readonly run: { readonly id: string; readonly pipeline: string };
  readonly task: { readonly id: string };
  readonly attempt: number;
  readonly signal: AbortSignal;
  readonly idempotencyKey: string;
  readonly resources: object;
  readonly log: (message: string) => void;
  readonly step: <Output>(id: string, run: () => Output) => Promise<Output>;
}

const HANG_MS = 60_000;

/** What an attempt of a simulated task does: says so before and after. */
export function attempt(node: NodeSpec, context: SimulatedContext, readsInput: boolean): unknown {
  const host = context.resources as TaskHost;
  const said = saidBy(context);
  const execution = host.started(said);
  const finish = (value: unknown): unknown => {
    host.ended(said, execution, { value });
    return value;
  };
  const fail = (thrown: unknown): never => {
    host.ended(said, execution, context.signal.aborted ? "aborted" : { error: thrown as Error });
    throw thrown;
  };
  try {
    const result = perform(node, context, { ...said, execution }, readsInput);
    return result instanceof Promise ? result.then(finish, fail) : finish(result);
  } catch (thrown) {
    return fail(thrown);
  }
}

function saidBy({ run, task, attempt: number, idempotencyKey, input }: SimulatedContext): Said {
  const index = indexOf(run.id, task.id, idempotencyKey);
  return { runId: run.id, task: task.id, index, attempt: number, key: idempotencyKey, input };
}

function indexOf(runId: string, task: string, idempotencyKey: string): readonly number[] {
  const parts = idempotencyKey.slice(runId.length + 1 + task.length).replace(/@\d+$/, "");
  return parts.split("/").filter(Boolean).map(Number);
}

function perform(node: NodeSpec, context: SimulatedContext, said: Executed, readsInput: boolean): unknown {
  const { signal, log } = context;
  const host = context.resources as TaskHost;
  const doing = node.doing[(said.index.at(-1) ?? 0) % node.doing.length]!;
  for (let line = 0; line < node.logs; line++) log(`${nameOf(said)} line ${line}`);
  const end = () => outcome(node, doing, context, said, readsInput);
  if (doing === "hang") return host.work(HANG_MS, node.isStubborn ? undefined : signal).then(end);
  if (node.kind === "poll") return end();
  if (node.steps > 0) return inSteps(node, context, host).then(end);
  return node.workMs === 0 ? end() : host.work(node.workMs, signal).then(end);
}

async function inSteps(node: NodeSpec, { step, signal }: SimulatedContext, host: TaskHost): Promise<void> {
  for (let place = 0; place < node.steps; place++) {
    await step(`s${place}`, () => host.work(node.workMs / node.steps, signal));
  }
}

function outcome(
  node: NodeSpec,
  doing: string,
  context: SimulatedContext,
  said: Executed,
  readsInput: boolean,
): unknown {
  const name = nameOf(said);
  const { token } = context.params;
  const host = context.resources as TaskHost;
  const memory = `${context.run.pipeline} ${token} ${name}`;
  if (node.kind === "poll" && host.count(memory) <= node.failures) return undefined;
  if (doing === "skip") throw new SkipTask(`${name} skips`);
  if (doing === "fail") throw new Error(`${said.execution} fails`);
  if (doing === "hang") throw new NonRetryableError(`${said.execution} hung for too long`);
  if (doing === "flaky" && host.count(memory) <= node.failures) throw new Error(`${said.execution} is flaky`);
  if (node.kind === "branch") return node.choice;
  if (node.cache !== undefined) return { cached: cacheKeyOf(node, context), made: said.execution };
  const value = { token, name, ...(readsInput && { read: digest(context.input) }) };
  return doing === "unstorable" ? { ...value, mark: UNSTORABLE } : value;
}

export function nameOf({ task, index }: Pick<Said, "task" | "index">): string {
  return index.length === 0 ? task : `${task}[${index.join("][")}]`;
}

function digest(input: object): string {
  return hash(withoutMakers(input)).toString(36);
}

/** What the work of a cached task depends on. Items that do the same have the same key. */
export function cacheKeyOf(node: NodeSpec, { run, task, params, idempotencyKey }: SimulatedContext): string {
  const index = indexOf(run.id, task.id, idempotencyKey);
  const sizes = { keys: node.cache?.keys ?? 1, doings: node.doing.length };
  return cacheKey({ pipeline: run.pipeline, task: task.id, token: params.token, index }, sizes);
}

export interface CacheUser {
  readonly pipeline: string;
  readonly task: string;
  readonly token: string;
  readonly index: readonly number[];
}

/** @param sizes - How many keys there are, and how many things items do. */
export function cacheKey(
  { pipeline, task, token, index }: CacheUser,
  { keys, doings }: { readonly keys: number; readonly doings: number },
): string {
  return `${pipeline} ${task} ${hash(token) % keys} of ${keys}, ${(index.at(-1) ?? 0) % doings} of ${doings}`;
}

/** A value as text, without the executions that made what is cached in it: on them it depends who takes what from whom. */
export function withoutMakers(value: unknown): string {
  return JSON.stringify(value, (name, part: unknown) => (name === "made" ? undefined : part));
}
