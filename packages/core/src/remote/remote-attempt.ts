import type { Clock } from "../clock.js";
import type { TaskJob, TaskOutcome, TaskPort } from "../contracts/executor.js";
import { WeftlineError } from "../errors.js";
import { decode } from "../values/codec.js";
import { toErrorRecord } from "../values/error-record.js";
import type { Answer, Asked, FromWorker, Said, Token, ToWorker } from "./protocol.js";

export interface RemoteAttemptOptions {
  readonly token: Token;
  readonly job: TaskJob;
  readonly port: TaskPort;
  readonly clock: Clock;
  /** Ends the worker by force. Called once, when the grace is over; settles when nothing of the worker runs any more. */
  readonly kill: () => Promise<void>;
}

/**
 * An attempt in a worker, on the engine's side of the channel. Passes on what the worker says, tells it to stop, ends it
 * by force after the grace, and settles once, whatever comes first.
 */
export class RemoteAttempt {
  readonly token: Token;
  readonly job: TaskJob;
  /** Never rejects. */
  readonly outcome: Promise<TaskOutcome>;
  readonly #options: RemoteAttemptOptions;
  #settle: (outcome: TaskOutcome) => void = () => {};
  #hasSettled = false;
  #send: ((message: ToWorker) => void) | undefined;
  #clearGrace: (() => void) | undefined;

  constructor(options: RemoteAttemptOptions) {
    this.token = options.token;
    this.job = options.job;
    this.#options = options;
    this.outcome = new Promise((resolve) => {
      this.#settle = resolve;
    });
    options.port.whenAborted(() => this.#abort());
  }

  get hasSettled(): boolean {
    return this.#hasSettled;
  }

  /** Its job has gone to a worker that is ready. @param send - To that worker. */
  started(send: (message: ToWorker) => void): void {
    this.#send = send;
    this.#options.port.started();
  }

  /** What its worker says. Of other attempts nothing counts. */
  receive(message: FromWorker): void {
    if (this.#hasSettled || message.token !== this.token) return;
    if (message.kind === "said") this.#said(message.said);
    else if (message.kind === "asked") void this.#answer(message.question, message.asked);
    else this.end(message.outcome);
  }

  /** It ended without a word of its own, such as with its worker. */
  fail(error: WeftlineError, retryable = true): void {
    this.end({ kind: "failed", error: toErrorRecord(error), retryable, retryAfterMs: undefined });
  }

  end(outcome: TaskOutcome): void {
    if (this.#hasSettled) return;
    this.#hasSettled = true;
    this.#clearGrace?.();
    this.#settle(outcome);
  }

  #said(said: Said): void {
    const { port } = this.#options;
    if (said[0] === "log") return port.log(said[1], said[2], said[3] === undefined ? undefined : decode(said[3]));
    if (said[0] === "metric") return port.metric(said[1], said[2]);
    if (said[0] === "progress") return port.progress(said[1], said[2]);
    return port.artifact(said[1]);
  }

  async #answer(question: number, [method, ...args]: Asked): Promise<void> {
    const { port } = this.#options;
    let answer: Answer;
    try {
      const ask = port[method] as (...args: readonly unknown[]) => Promise<unknown>;
      answer = { kind: "value", value: await ask.apply(port, args) };
    } catch (thrown) {
      const { code, message } = toErrorRecord(thrown);
      answer = { kind: "error", code, message };
    }
    if (!this.#hasSettled) this.#send?.({ kind: "answer", question, answer });
  }

  #abort(): void {
    if (this.#hasSettled || this.#clearGrace !== undefined) return;
    if (this.#send === undefined) return this.fail(this.#reason); // it waits for a worker: nothing has to be stopped
    const { port, clock, job } = this.#options;
    port.log("warn", `told to stop, with ${job.graceMs} ms to do so: ${this.#reason.message}`, undefined);
    this.#sendAbort();
    this.#clearGrace = clock.timer(clock.now() + job.graceMs, () => void this.#force());
  }

  #sendAbort(): void {
    const { code, message } = this.#reason;
    this.#send?.({ kind: "abort", token: this.token, code, message });
  }

  get #reason(): WeftlineError {
    return this.#options.port.signal.reason as WeftlineError;
  }

  /** Nothing it says counts any more, and it is over only when its worker is: no two attempts may run at once. */
  async #force(): Promise<void> {
    const { port, job, kill } = this.#options;
    port.log("error", `did not stop within ${job.graceMs} ms: stopped by force`, undefined);
    this.#hasSettled = true;
    await kill();
    this.#settle({
      kind: "failed",
      error: toErrorRecord(
        new WeftlineError(
          "ABORT_FORCED",
          `task "${job.task}" did not stop within ${job.graceMs} ms after it was told to, and was stopped by force. Pass \`signal\` to everything it waits for, and look at it in long loops.`,
        ),
      ),
      retryable: true,
      retryAfterMs: undefined,
    });
  }
}
