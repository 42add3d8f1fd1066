import type { RunFacts, TaskJob } from "../contracts/executor.js";
import type { RunRecord } from "../contracts/records.js";
import type { TaskDefinition } from "../define/definition.js";
import type { Encoded } from "../values/codec.js";
import type { LiveAttempt } from "./attempt.js";
import type { Outputs } from "./outputs.js";
import type { RunParts } from "./run-parts.js";

/** What tasks are told of their run: all of them the same object, which they cannot change. */
export function runFacts({ id, pipeline, createdAt, key, tags, instant }: RunRecord): RunFacts {
  return Object.freeze({ id, pipeline, createdAt, key, tags: Object.freeze([...tags]), instant });
}

const NO_ITEMS: readonly Encoded[] = Object.freeze([]);

/** An attempt as data for its executor. Inputs and items are put together when they are read: many functions never do. */
export class AttemptJob implements TaskJob {
  readonly runId: string;
  readonly pipeline: string;
  readonly definition: string;
  readonly task: string;
  readonly position: number;
  readonly index: readonly number[];
  readonly generation: number;
  readonly attempt: number;
  readonly params: Encoded;
  readonly run: RunFacts;
  readonly graceMs: number;
  readonly #outputs: Outputs;
  readonly #instance: number;

  constructor({ core, record, facts, outputs }: RunParts, attempt: LiveAttempt, { id, position }: TaskDefinition) {
    this.runId = record.id;
    this.pipeline = record.pipeline;
    this.definition = record.definition;
    this.task = id;
    this.position = position;
    this.index = attempt.index;
    this.generation = attempt.generation;
    this.attempt = attempt.number;
    this.params = record.params;
    this.run = facts;
    this.graceMs = core.graceMs;
    this.#outputs = outputs;
    this.#instance = attempt.instance;
  }

  get input(): Readonly<Record<string, Encoded>> {
    return this.#outputs.inputOf(this.#instance, this.position);
  }

  get items(): readonly Encoded[] {
    return this.index.length === 0 ? NO_ITEMS : this.#outputs.itemsOf(this.#instance);
  }
}
