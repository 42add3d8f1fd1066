import type { TaskPort } from "../contracts/executor.js";
import { show } from "../define/show.js";
import { WeftlineError } from "../errors.js";
import { decode, encode } from "../values/codec.js";
import type { AttemptEnvironment } from "./run-attempt.js";
import { isOwn } from "./signals.js";
import { unlessAborted } from "./unless-aborted.js";

const MAX_ID_LENGTH = 200;

/** The steps of one attempt: each is done once in the life of its task, whatever attempts there are. */
export class Steps {
  readonly #port: TaskPort;
  readonly #environment: AttemptEnvironment;
  /** How often each id was called in this attempt. */
  readonly #calls = new Map<string, number>();

  constructor(port: TaskPort, environment: AttemptEnvironment) {
    this.#port = port;
    this.#environment = environment;
  }

  /**
   * The step's output as a later attempt would get it: kept before, or that of `run` now, which is durable then. One that
   * had begun when the signal aborts rejects with its reason, and keeps what `run` returned; one that begins after that
   * is for cleaning up, and is done.
   *
   * @throws {WeftlineError} `STEP_INVALID`, `OUTPUT_NOT_SERIALIZABLE`, `ATTEMPT_ENDED`, the signal's reason; whatever `run` throws, which is not kept.
   */
  do<Output>(id: string, run: () => Output | Promise<Output>): Promise<Output> {
    const done = this.#do(id, run);
    const result: Promise<Output> = new Promise((resolve, reject) => {
      done.then(resolve, (error: unknown) => {
        // Code that is to stop, or outlived its attempt, may have nobody left who waits: that must not end the process.
        if (this.#port.signal.aborted || isEnded(error)) result.catch(() => undefined);
        reject(error as Error);
      });
    });
    return result;
  }

  async #do<Output>(id: string, run: () => Output | Promise<Output>): Promise<Output> {
    const step = this.#nameOf(id);
    if (typeof run !== "function") {
      throw new WeftlineError(
        "STEP_INVALID",
        `Cannot do step ${show(id)} as it has ${show(run)} instead of a function. Write step(id, () => …).`,
      );
    }
    const { signal } = this.#port;
    const isCleaningUp = signal.aborted;
    const answered = <Value>(answer: Promise<Value>) => (isCleaningUp ? answer : unlessAborted(signal, answer));
    const kept = await answered(this.#port.findStep(step));
    if (kept !== undefined) return decode(kept) as Output;
    const startedAt = this.#environment.now();
    const output = encode(await run(), "output", this.#environment.limits);
    await answered(this.#port.keepStep(step, output, startedAt));
    return decode(output) as Output;
  }

  /** Before anything is awaited, so that calls are counted in the order they were made. */
  #nameOf(id: string): string {
    if (typeof id !== "string" || id.length > MAX_ID_LENGTH || !/^[^#\0]+$/.test(id) || !id.isWellFormed()) {
      throw new WeftlineError(
        "STEP_INVALID",
        `Cannot do a step with the id ${show(id)}. Give a text of 1 to ${MAX_ID_LENGTH} well-formed characters without "#" and NUL.`,
      );
    }
    const call = (this.#calls.get(id) ?? 0) + 1;
    this.#calls.set(id, call);
    return call === 1 ? id : `${id}#${call}`;
  }
}

function isEnded(error: unknown): boolean {
  return isOwn(error, WeftlineError, "WeftlineError") && error.code === "ATTEMPT_ENDED";
}
