import type { Clock } from "../clock.js";
import type { Executor } from "../contracts/executor.js";
import type { AnyContext } from "../define/context.js";
import type { TaskDefinition } from "../define/definition.js";
import type { Pipeline } from "../define/pipeline.js";
import { show } from "../define/show.js";
import { WeftlineError } from "../errors.js";
import { type Gate, Limit, type Pool, RateLimit } from "./limits.js";

/** What decides which keyed gates an attempt has to pass: made when a task has such gates, from the run's own data. */
export type KeyContextOf = () => AnyContext;

/** What the pipelines of one engine share. */
export interface RegistryOptions {
  readonly clock: Clock;
  readonly executorOf: (task: TaskDefinition) => Executor;
  /** The limit of each executor that has one. */
  readonly slots: ReadonlyMap<Executor, Limit>;
  readonly pools: ReadonlyMap<string, Pool>;
  /** A rate limit has room again. */
  readonly onRoom: (gate: Gate) => void;
}

const NO_GATES: readonly Gate[] = Object.freeze([]);

/** A pipeline as one engine runs it: with the executors its tasks asked for, and its gates over all runs. */
export class RegisteredPipeline {
  readonly pipeline: Pipeline;
  /** By task position. */
  readonly executors: readonly Executor[];
  /** Some task has a priority of its own. */
  readonly hasPriorities: boolean;
  /** Some map or group has a concurrency, which is each run's own. */
  readonly hasRunLimits: boolean;
  readonly #options: RegistryOptions;
  /** By task position, the narrowest first; those of one run alone, and those with a key, are not among them. */
  readonly #gates: readonly (readonly Gate[])[];
  /** Some task, or the pipeline, has gates by key. */
  readonly #hasKeys: boolean;
  /** By what they belong to, and their key. */
  readonly #keyed = new Map<string, Limit | RateLimit>();
  #keyedMade = 0;

  constructor(pipeline: Pipeline, options: RegistryOptions) {
    const { tasks } = pipeline.plan;
    this.pipeline = pipeline;
    this.#options = options;
    this.executors = sharedWhereEqual(tasks.map(options.executorOf));
    this.#gates = this.#sharedGates(tasks);
    this.hasPriorities = tasks.some(({ policy }) => policy.priority !== 0);
    this.hasRunLimits = tasks.some(
      ({ kind, policy }) => (kind === "map" || kind === "group") && policy.concurrency !== undefined,
    );
    this.#hasKeys =
      pipeline.settings.keyed !== undefined ||
      tasks.some(({ policy }) => policy.keyed !== undefined || policy.rateLimit?.key !== undefined);
  }

  executorOf(position: number): Executor {
    return this.executors.length === 1 ? this.executors[0]! : this.executors[position]!;
  }

  /**
   * What an attempt at a task has to pass.
   *
   * @throws Whatever a user's key function throws.
   */
  gatesOf(position: number, context: KeyContextOf): readonly Gate[] {
    const gates = this.#gates.length === 1 ? this.#gates[0]! : this.#gates[position]!;
    return this.#hasKeys ? [...this.#keyedGates(position, context), ...gates] : gates;
  }

  /** Ends the timers of rate limits. */
  close(): void {
    for (const gates of this.#gates) for (const gate of gates) if (gate instanceof RateLimit) gate.close();
    for (const gate of this.#keyed.values()) if (gate instanceof RateLimit) gate.close();
  }

  #sharedGates(tasks: readonly TaskDefinition[]): readonly (readonly Gate[])[] {
    const { id, settings } = this.pipeline;
    const { clock, slots, pools, onRoom } = this.#options;
    const ofPipeline =
      settings.concurrency === undefined
        ? NO_GATES
        : [new Limit(settings.concurrency, `concurrency of pipeline "${id}"`)];
    const gates = tasks.map(({ id: task, position, isMapped, kind, policy }) => {
      const ofExecutor = slots.get(this.executorOf(position));
      const { concurrency, pool, rateLimit } = policy;
      const own: Gate[] = [];
      if (concurrency !== undefined && !isMapped && kind !== "group") {
        own.push(new Limit(concurrency, `concurrency of task "${task}"`));
      }
      if (rateLimit !== undefined && rateLimit.key === undefined) {
        own.push(new RateLimit(rateLimit.limit, rateLimit.perMs, `rate of task "${task}"`, clock, onRoom));
      }
      if (pool !== undefined && pools.has(pool)) own.push(pools.get(pool)!.share(policy.slots));
      if (own.length === 0 && ofExecutor === undefined) return ofPipeline;
      return [...own, ...ofPipeline, ...(ofExecutor ? [ofExecutor] : [])];
    });
    return sharedWhereEqual(gates);
  }

  #keyedGates(position: number, context: KeyContextOf): Gate[] {
    const { id, policy } = this.pipeline.plan.tasks[position]!;
    const { keyed: ofPipeline } = this.pipeline.settings;
    const { keyed, rateLimit } = policy;
    const gates: Gate[] = [];
    if (keyed) {
      const key = keyText(keyed.key(context()), `concurrency.key of task "${id}"`);
      gates.push(
        this.#gateOf(`task ${id} ${key}`, () => new Limit(keyed.limit, `concurrency of task "${id}" for key "${key}"`)),
      );
    }
    if (rateLimit?.key) {
      const key = keyText(rateLimit.key(context()), `rateLimit.key of task "${id}"`);
      const { limit, perMs } = rateLimit;
      const { clock, onRoom } = this.#options;
      const name = `rate of task "${id}" for key "${key}"`;
      gates.push(this.#gateOf(`rate ${id} ${key}`, () => new RateLimit(limit, perMs, name, clock, onRoom)));
    }
    if (ofPipeline) {
      const key = keyText(ofPipeline.key(context() as never), `concurrency.key of pipeline "${this.pipeline.id}"`);
      const name = `concurrency of pipeline "${this.pipeline.id}" for key "${key}"`;
      gates.push(this.#gateOf(`pipeline ${key}`, () => new Limit(ofPipeline.limit, name)));
    }
    return gates;
  }

  #gateOf(name: string, make: () => Limit | RateLimit): Gate {
    let gate = this.#keyed.get(name);
    if (gate === undefined) {
      this.#forgetUnused();
      gate = make();
      this.#keyed.set(name, gate);
    }
    return gate;
  }

  /** Keys may be as many as a service has tenants: those nobody uses are dropped when their number has doubled. */
  #forgetUnused(): void {
    if (++this.#keyedMade < 2 * this.#keyed.size + 64) return;
    for (const [name, gate] of this.#keyed) if (gate.isUnused) this.#keyed.delete(name);
    this.#keyedMade = this.#keyed.size;
  }
}

/** A promise, say, would be one key for everything. */
function keyText(key: unknown, whose: string): string {
  if (typeof key === "string" || typeof key === "number" || typeof key === "bigint") return String(key);
  if (key instanceof Promise) key.catch(() => undefined); // its failure is nobody's but ours
  throw new WeftlineError("KEY_INVALID", `${whose} gave ${show(key)} for a key. Return a text or a number at once.`);
}

/** One entry stands for all where all are the same: pipelines may have a million tasks. */
function sharedWhereEqual<Item>(items: readonly Item[]): readonly Item[] {
  return items.every((item) => item === items[0]) ? items.slice(0, 1) : items;
}
