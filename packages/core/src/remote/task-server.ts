import { AsyncLocalStorage } from "node:async_hooks";
import type { ArtifactData, TaskOutcome, TaskPort } from "../contracts/executor.js";
import type { LogLevel } from "../contracts/records.js";
import { WeftlineError } from "../errors.js";
import { logData } from "../execute/log-data.js";
import { refusalOf } from "../execute/refusal.js";
import { runAttempt } from "../execute/run-attempt.js";
import type { ValueLimits } from "../values/codec.js";
import { toErrorRecord } from "../values/error-record.js";
import { OutputLines } from "./output-lines.js";
import type { Answer, Asked, FromWorker, Said, Token, ToWorker } from "./protocol.js";
import type { TaskModule } from "./task-module.js";

export interface TaskServerOptions {
  readonly module: TaskModule;
  readonly resources: object;
  /** To the executor. @param transfer - Memory that may be moved instead of copied. */
  readonly send: (message: FromWorker, transfer: readonly ArrayBuffer[]) => void;
}

/** Errors that come from nowhere are said of the attempt in whose async context they arose. */
const contextOf = new AsyncLocalStorage<ServedAttempt>();

/** The worker's side of the channel: runs the attempts it is sent, one at a time. */
export class TaskServer {
  readonly #options: TaskServerOptions;
  readonly #questions = new Map<number, (answer: Answer) => void>();
  #lastQuestion = 0;
  #current: ServedAttempt | undefined;

  constructor(options: TaskServerOptions) {
    this.#options = options;
  }

  /** The attempt that runs now. */
  get current(): Token | undefined {
    return this.#current?.token;
  }

  receive(message: ToWorker): void {
    if (message.kind === "run") void this.run(message);
    else if (message.kind === "abort") this.#abort(message);
    else {
      this.#questions.get(message.question)?.(message.answer);
      this.#questions.delete(message.question);
    }
  }

  /** Runs an attempt and sends its outcome. @returns When it has been sent. */
  async run({ token, job, limits }: Extract<ToWorker, { readonly kind: "run" }>): Promise<void> {
    const attempt = new ServedAttempt(token, limits, this);
    this.#current = attempt;
    const { module, resources } = this.#options;
    const task = module.pipelines.get(job.pipeline)?.plan.tasks[job.position];
    const refusal = refusalOf(job, task?.id, module.pipelines.get(job.pipeline)?.hash);
    if (refusal !== undefined) return this.#end(attempt, refusal);
    const environment = { resources, limits, now: Date.now };
    const outcome = contextOf.run(attempt, () => runAttempt(task!, job, attempt, environment));
    // Awaited only where there is something to wait for: the turn of the loop that saves is felt by short tasks.
    if (outcome instanceof Promise) attempt.settle(await Promise.race([outcome, attempt.broken()]));
    else attempt.settle(outcome);
    return this.#end(attempt, attempt.outcome!);
  }

  /**
   * Something was thrown that nobody catches.
   *
   * @returns Whether the attempt that runs now is to blame, and fails of it. If not, an earlier one is: what it left
   * behind is noted nowhere but where the caller does so.
   */
  uncaught(thrown: unknown): boolean {
    const attempt = contextOf.getStore();
    if (this.#current === undefined || (attempt !== undefined && attempt !== this.#current)) return false;
    this.#current.break(thrown);
    return true;
  }

  /** What the attempt that runs now writes to an output stream. @returns False when none runs, or an earlier one wrote. */
  wrote(stream: "stdout" | "stderr", chunk: string | Uint8Array): boolean {
    const attempt = contextOf.getStore() ?? this.#current;
    if (this.#current === undefined || attempt !== this.#current) return false;
    this.#current.wrote(stream, chunk);
    return true;
  }

  say(token: Token, said: Said, transfer: readonly ArrayBuffer[] = []): void {
    this.#options.send({ kind: "said", token, said }, transfer);
  }

  ask(token: Token, asked: Asked): Promise<unknown> {
    const question = ++this.#lastQuestion;
    return new Promise((resolve, reject) => {
      this.#questions.set(question, (answer) => {
        if (answer.kind === "value") resolve(answer.value);
        else reject(asError(answer));
      });
      this.#options.send({ kind: "asked", token, question, asked }, []);
    });
  }

  #abort({ token, code, message }: Extract<ToWorker, { readonly kind: "abort" }>): void {
    if (this.#current?.token !== token) return;
    // The code is part of the message already, which the constructor would put there once more.
    this.#current.abort(new WeftlineError(code, message.replace(`${code}: `, "")));
  }

  #end(attempt: ServedAttempt, outcome: TaskOutcome): void {
    attempt.closeOutput();
    this.#current = undefined;
    this.#questions.clear();
    this.#options.send({ kind: "ended", token: attempt.token, outcome }, []);
  }
}

/** An error of the port as the task would have met it in the engine's own process. */
function asError({ code, message }: Extract<Answer, { readonly kind: "error" }>): Error {
  if (code === "ATTEMPT_ENDED") return new WeftlineError(code, message.replace(`${code}: `, ""));
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}

/** An attempt where it runs: the task's side of the port. */
class ServedAttempt implements TaskPort {
  readonly token: Token;
  readonly #limits: ValueLimits;
  readonly #server: TaskServer;
  /** Made when somebody reads it: most tasks do not, and it costs more than all the rest here. */
  #controller: AbortController | undefined;
  #reason: WeftlineError | undefined;
  #onAbort: (() => void) | undefined;
  #outcome: TaskOutcome | undefined;
  #break: (outcome: TaskOutcome) => void = () => {};
  #outputs: { readonly stdout: OutputLines; readonly stderr: OutputLines } | undefined;

  constructor(token: Token, limits: ValueLimits, server: TaskServer) {
    this.token = token;
    this.#limits = limits;
    this.#server = server;
  }

  /** Settles when the attempt fails of something its promise does not know of. */
  broken(): Promise<TaskOutcome> {
    return new Promise((resolve) => {
      this.#break = resolve;
      if (this.#outcome !== undefined) resolve(this.#outcome);
    });
  }

  get outcome(): TaskOutcome | undefined {
    return this.#outcome;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** The first outcome stays. */
  settle(outcome: TaskOutcome): void {
    this.#outcome ??= outcome;
  }

  break(thrown: unknown): void {
    const error = new WeftlineError(
      "UNCAUGHT_ERROR",
      `the task threw where nobody catches: ${toErrorRecord(thrown).message}. Await every promise it starts, and handle the "error" events of what it opens.`,
      { cause: thrown },
    );
    const outcome = {
      kind: "failed",
      error: toErrorRecord(error),
      retryable: true,
      retryAfterMs: undefined,
    } as const satisfies TaskOutcome;
    this.settle(outcome);
    this.#break(outcome);
  }

  abort(reason: WeftlineError): void {
    this.#reason ??= reason;
    this.#controller?.abort(reason);
    this.#onAbort?.();
  }

  wrote(stream: "stdout" | "stderr", chunk: string | Uint8Array): void {
    this.#outputs ??= { stdout: this.#output("stdout"), stderr: this.#output("stderr") };
    this.#outputs[stream].write(chunk);
  }

  closeOutput(): void {
    this.#outputs?.stdout.end();
    this.#outputs?.stderr.end();
  }

  #output(stream: "stdout" | "stderr"): OutputLines {
    const level = stream === "stdout" ? "info" : "warn";
    return new OutputLines({
      line: (line) => this.log(level, line, { stream }),
      dropped: (lines, bytes) =>
        this.log("warn", `${lines} more lines (${bytes} bytes) on ${stream} were dropped`, { stream }),
    });
  }

  // The executor knows when the code starts, as it sends the job to a worker that waits for one.
  started(): void {}

  whenAborted(fire: () => void): void {
    if (this.#reason !== undefined) fire();
    else this.#onAbort = fire;
  }

  log(level: LogLevel, message: string, data: unknown): void {
    this.#server.say(this.token, ["log", level, message, logData(data, this.#limits)]);
  }

  metric(name: string, value: number): void {
    this.#server.say(this.token, ["metric", name, value]);
  }

  progress(fraction: number, message: string | undefined): void {
    this.#server.say(this.token, ["progress", fraction, message]);
  }

  artifact(artifact: ArtifactData): void {
    const { data } = artifact;
    // The bytes are the engine's already, and move: its own thread has nothing to copy.
    const transfer = typeof data === "string" ? [] : [data.buffer as ArrayBuffer];
    this.#server.say(this.token, ["artifact", artifact], transfer);
  }

  findStep(step: string): ReturnType<TaskPort["findStep"]> {
    return this.#server.ask(this.token, ["findStep", step]) as ReturnType<TaskPort["findStep"]>;
  }

  keepStep(...args: Parameters<TaskPort["keepStep"]>): Promise<void> {
    return this.#server.ask(this.token, ["keepStep", ...args]) as Promise<void>;
  }

  findCached(key: string): ReturnType<TaskPort["findCached"]> {
    return this.#server.ask(this.token, ["findCached", key]) as ReturnType<TaskPort["findCached"]>;
  }
}
