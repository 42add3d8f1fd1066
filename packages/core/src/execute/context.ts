import type { ArtifactData, RunFacts, TaskJob, TaskPort } from "../contracts/executor.js";
import type { LogLevel } from "../contracts/records.js";
import type { AnyContext, Resources, TaskFacts, TaskLog } from "../define/context.js";
import type { TaskDefinition } from "../define/definition.js";
import { decode, type Encoded } from "../values/codec.js";
import { asText } from "./as-text.js";
import { checkArtifact } from "./check-artifact.js";
import type { AttemptEnvironment } from "./run-attempt.js";
import { Steps } from "./steps.js";

/** An attempt where it is executed. */
export interface ExecutedAttempt {
  readonly job: TaskJob;
  readonly port: TaskPort;
  readonly task: TaskDefinition;
  readonly environment: AttemptEnvironment;
  /** The last value of each metric so far; kept only where the task has expectations. */
  readonly measured: Map<string, number> | undefined;
}

/** What was read of a context so far. */
interface Made {
  input: unknown;
  params: unknown;
  item: unknown;
  outer: unknown;
  log: TaskLog | undefined;
  steps: Steps | undefined;
}

/**
 * What a task function receives. Everything is made when it is first read: most functions read two or three members,
 * and a signal or a decoded input costs more than all the rest of a short attempt.
 */
export class ExecutionContext implements AnyContext {
  readonly #attempt: ExecutedAttempt;
  #made: Made | undefined;

  constructor(attempt: ExecutedAttempt) {
    this.#attempt = attempt;
  }

  get resources(): Resources {
    return this.#attempt.environment.resources as Resources;
  }

  get input(): unknown {
    const made = this.#memo();
    made.input ??= decodeInput(this.#attempt.job.input);
    return made.input;
  }

  get params(): unknown {
    const made = this.#memo();
    made.params ??= decode(this.#attempt.job.params);
    return made.params;
  }

  get item(): unknown {
    const made = this.#memo();
    made.item ??= decodeItem(this.#attempt.job.items.at(-1));
    return made.item;
  }

  get outer(): unknown {
    const made = this.#memo();
    made.outer ??= decodeItem(this.#attempt.job.items.at(-2));
    return made.outer;
  }

  #memo(): Made {
    this.#made ??= {
      input: undefined,
      params: undefined,
      item: undefined,
      outer: undefined,
      log: undefined,
      steps: undefined,
    };
    return this.#made;
  }

  get index(): number {
    return this.#attempt.job.index.at(-1) ?? 0;
  }

  get run(): RunFacts {
    return this.#attempt.job.run;
  }

  get task(): TaskFacts {
    return { id: this.#attempt.task.id, title: this.#attempt.task.title };
  }

  get attempt(): number {
    return this.#attempt.job.attempt;
  }

  get signal(): AbortSignal {
    return this.#attempt.port.signal;
  }

  get idempotencyKey(): string {
    const { runId, task, index, generation } = this.#attempt.job;
    const key = [runId, task, ...index].join("/");
    return generation === 1 ? key : `${key}@${generation}`;
  }

  get step(): <Output>(id: string, run: () => Output | Promise<Output>) => Promise<Output> {
    const made = this.#memo();
    made.steps ??= new Steps(this.#attempt.port, this.#attempt.environment);
    const { steps } = made;
    return (id, run) => steps.do(id, run);
  }

  get log(): TaskLog {
    const made = this.#memo();
    made.log ??= taskLog(this.#attempt.port);
    return made.log;
  }

  get metric(): (name: string, value: number) => void {
    const port = this.#attempt.port;
    const { measured } = this.#attempt;
    return (name, value) => {
      if (typeof name !== "string" || typeof value !== "number") {
        throw new TypeError(`metric(name, value) takes a text and a number, not ${typeof name} and ${typeof value}`);
      }
      measured?.set(name, value);
      port.metric(name, value);
    };
  }

  get progress(): (fraction: number, message?: string) => void {
    const port = this.#attempt.port;
    // NaN, the usual 0 of 0 items, means no progress yet.
    return (fraction, message) =>
      port.progress(
        Math.min(1, Math.max(0, asNumber(fraction) || 0)),
        message === undefined ? undefined : asText(message),
      );
  }

  get artifact(): (artifact: ArtifactData) => void {
    const { port, environment } = this.#attempt;
    return (artifact) => {
      // Here, so that it fails at the call also where the engine hears of it later.
      checkArtifact(artifact, environment.limits);
      const { name, contentType, data } = artifact;
      // A copy, which belongs to the engine from here on: the task may go on with its bytes.
      const own = typeof data === "string" ? data : new Uint8Array(data);
      port.artifact({ name, ...(contentType !== undefined && { contentType }), data: own });
    };
  }
}

/** A symbol, and objects that are made to, would throw. */
function asNumber(value: unknown): number {
  return typeof value === "number" || typeof value === "string" ? Number(value) : 0;
}

function decodeItem(encoded: Encoded | undefined): unknown {
  return encoded === undefined ? undefined : decode(encoded);
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
