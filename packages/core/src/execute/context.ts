import type { ArtifactData, RunFacts, TaskJob, TaskPort } from "../contracts/executor.js";
import type { LogLevel } from "../contracts/records.js";
import type { AnyContext, Resources, TaskFacts, TaskLog } from "../define/context.js";
import type { TaskDefinition } from "../define/definition.js";
import { decode } from "../values/codec.js";
import { asText } from "./as-text.js";

/**
 * What a task function receives. Everything is made when it is first read: most functions read two or three members,
 * and a signal or a decoded input costs more than all the rest of a short attempt.
 */
export class ExecutionContext implements AnyContext {
  readonly #job: TaskJob;
  readonly #port: TaskPort;
  readonly #task: TaskDefinition;
  readonly resources: Resources;
  #input: unknown;
  #params: unknown;
  #item: unknown;
  #log: TaskLog | undefined;

  constructor(job: TaskJob, port: TaskPort, task: TaskDefinition, resources: object) {
    this.#job = job;
    this.#port = port;
    this.#task = task;
    this.resources = resources as Resources;
  }

  get input(): unknown {
    this.#input ??= decodeInput(this.#job.input);
    return this.#input;
  }

  get params(): unknown {
    this.#params ??= decode(this.#job.params);
    return this.#params;
  }

  get item(): unknown {
    if (this.#item === undefined && this.#job.item !== undefined) this.#item = decode(this.#job.item);
    return this.#item;
  }

  get index(): number {
    return this.#job.index.at(-1) ?? 0;
  }

  get run(): RunFacts {
    return this.#job.run;
  }

  get task(): TaskFacts {
    return { id: this.#task.id, title: this.#task.title };
  }

  get attempt(): number {
    return this.#job.attempt;
  }

  get signal(): AbortSignal {
    return this.#port.signal;
  }

  get idempotencyKey(): string {
    return [this.#job.runId, this.#job.task, ...this.#job.index].join("/");
  }

  get log(): TaskLog {
    this.#log ??= taskLog(this.#port);
    return this.#log;
  }

  get metric(): (name: string, value: number) => void {
    const port = this.#port;
    return (name, value) => {
      if (typeof name !== "string" || typeof value !== "number") {
        throw new TypeError(`metric(name, value) takes a text and a number, not ${typeof name} and ${typeof value}`);
      }
      port.metric(name, value);
    };
  }

  get progress(): (fraction: number, message?: string) => void {
    const port = this.#port;
    // NaN, the usual 0 of 0 items, means no progress yet.
    return (fraction, message) => port.progress(Math.min(1, Math.max(0, Number(fraction) || 0)), message);
  }

  get artifact(): (artifact: ArtifactData) => void {
    const port = this.#port;
    return (artifact) => port.artifact(artifact);
  }
}

function decodeInput(encoded: TaskJob["input"]): object {
  const input: Record<string, unknown> = {};
  for (const name in encoded) {
    const value = decode(encoded[name]!);
    // A plain assignment to this one name would change the prototype instead.
    if (name === "__proto__") Object.defineProperty(input, name, { value, enumerable: true });
    else input[name] = value;
  }
  return input;
}

function taskLog(port: TaskPort): TaskLog {
  const at = (level: LogLevel) => (message: string, data?: unknown) => port.log(level, asText(message), data);
  return Object.assign(at("info"), { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") });
}
