import type { ArtifactData, RunFacts } from "../contracts/executor.js";

/**
 * What the host application lends to its tasks (`createEngine({ resources })`). Declare yours once:
 *
 * ```ts
 * declare module "weftline" { interface Resources { db: Database } }
 * ```
 */
// biome-ignore lint/suspicious/noEmptyInterface: users add their members by declaration merging
export interface Resources {}

/** Writes to the attempt's own log, which stays in the run's history. Calling it directly means `info`. */
export interface TaskLog {
  (message: string, data?: unknown): void;
  debug(message: string, data?: unknown): void;
  info(message: string, data?: unknown): void;
  warn(message: string, data?: unknown): void;
  error(message: string, data?: unknown): void;
}

export interface TaskFacts {
  readonly id: string;
  readonly title: string | undefined;
}

/** What a task function receives. Members are made when read, so take only what you use. */
export interface TaskContext<Params = unknown, Input = unknown> {
  /** The outputs of the tasks named in `needs`, decoded for this attempt alone. */
  readonly input: Input;
  /** The run's params as their schema returned them. */
  readonly params: Params;
  readonly run: RunFacts;
  readonly task: TaskFacts;
  /** 1, 2, 3 … over the whole life of the run, resumes included. */
  readonly attempt: number;
  /** Aborts when this attempt is to stop: timeout, cancellation or the engine's stop. Pass it to everything that waits. */
  readonly signal: AbortSignal;
  readonly log: TaskLog;
  /** Records a number under a name. `NaN` and infinities are kept; anything but a number is a `TypeError`. */
  readonly metric: (name: string, value: number) => void;
  /** Says how far the attempt is, from 0 to 1. */
  readonly progress: (fraction: number, message?: string) => void;
  /** Keeps a file in the run's history. A later one of the same name replaces it for readers. */
  readonly artifact: (artifact: ArtifactData) => void;
  readonly resources: Resources;
  /**
   * Does a part of the task once: its output is kept, and a later attempt, or a resume, takes that instead of calling
   * the function again. Call it in loops and in `Promise.all` as you like; the n-th call with the same id is its own step.
   * The output is durable when the promise resolves.
   */
  readonly step: <Output>(id: string, run: () => Output | Promise<Output>) => Promise<Output>;
  /** The same for every attempt at this task (or item) of this run: send it along with effects on other systems. A rerun gets another. */
  readonly idempotencyKey: string;
}

/** What the function of a `map` receives: one item of the list, and its place in it. */
export interface MapContext<Params = unknown, Input = unknown, Item = unknown> extends TaskContext<Params, Input> {
  readonly item: Item;
  /** From 0, in the order of the list. */
  readonly index: number;
}

/** What the tasks of a mapped group receive beside the rest: the item for which their group runs. */
export interface ItemOf<Item> {
  readonly item: Item;
  readonly index: number;
}

/** Inside a mapped group a map has items of its own; the group's is the outer one. */
export type OuterOf<Around> = Around extends { readonly item: infer Outer }
  ? { readonly outer: Outer }
  : Record<never, never>;

/** The context as the engine passes it, whatever the task. */
export type AnyContext = MapContext<unknown, unknown, unknown> & { readonly outer: unknown };
