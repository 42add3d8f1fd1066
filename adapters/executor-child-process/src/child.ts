import { type ChildProcess, fork } from "node:child_process";
import { existsSync } from "node:fs";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { type ExecutorHost, type TaskPort, WeftlineError } from "weftline";
import { type Definitions, OutputLines, plainJob, type RemoteAttempt, workerError } from "weftline/remote";
import { type Death, deathOf, startFailure } from "./death.js";
import type { Settings } from "./options.js";
import { type FromChild, marked, markedRun, type ToChild, unmarked, VERDICT_FD, type Verdict } from "./wire.js";

export interface ChildOptions {
  readonly settings: Settings;
  readonly host: ExecutorHost;
  /** Its attempt has ended, and it can take another unless it is worn. */
  readonly onFree: (child: Child) => void;
  /** Nothing of it runs any more. */
  readonly onGone: (child: Child) => void;
}

/** How long a process may take to end its resources, in milliseconds. */
const CLOSE_MS = 5_000;
/** How much of what it wrote last is told when it dies. */
const LAST_WORDS_LENGTH = 2_000;

const { setImmediate: startImmediate } = globalThis;

/** A process of the pool, on the engine's side. Goes from starting to ready, from attempt to attempt, and is then gone. */
export class Child {
  /** Settles when it can run tasks. Rejects with `WORKER_START_FAILED`, or what its module's resources failed with. */
  readonly ready: Promise<Definitions>;
  /** It takes no more attempts. */
  isWorn = false;
  /** Takes back the timer that ends it for being idle. */
  clearIdle: (() => void) | undefined;
  readonly #options: ChildOptions;
  readonly #process: ChildProcess;
  readonly #exited: Promise<void>;
  #isGone = false;
  #isEnding = false;
  #tasks = 0;
  #attempt: RemoteAttempt | undefined;
  #port: TaskPort | undefined;
  /** Of the attempt that runs, once it has written something. */
  #output: AttemptOutput | undefined;
  #verdict: Verdict | undefined;
  #lastWords = "";
  #onReady: (definitions: Definitions) => void = () => {};
  #onUnfit: (error: WeftlineError) => void = () => {};

  constructor(options: ChildOptions) {
    this.#options = options;
    this.ready = new Promise((resolve, reject) => {
      this.#onReady = resolve;
      this.#onUnfit = reject;
    });
    this.ready.catch(() => undefined);
    this.#process = started(options.settings);
    this.#exited = new Promise((resolve) => {
      this.#process.once("exit", (code, signal) => {
        this.#gone({ code, signal });
        resolve();
      });
      // Of a process that could not be started: ENOENT, EACCES, EAGAIN.
      this.#process.on("error", (error) => {
        if (this.#process.pid !== undefined) return; // a message that could not be sent: its exit tells more
        this.#onUnfit(startFailed(options.settings.url, error.message, error));
        this.#gone({ code: null, signal: null });
        resolve();
      });
    });
    this.#listen();
    this.#begin();
  }

  get isBusy(): boolean {
    return this.#attempt !== undefined;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  run(attempt: RemoteAttempt, port: TaskPort): void {
    this.#attempt = attempt;
    this.#tasks++;
    this.#port = port;
    this.#ref();
    this.#send({ kind: "run", token: attempt.token, job: plainJob(attempt.job), limits: this.#options.host.limits });
    attempt.started((message) => {
      this.#send(message);
      // For the programs it has started; the process itself does not end of it.
      if (message.kind === "abort") this.#signal("SIGTERM");
    });
  }

  /** Ends it and all it has started at once, whatever they do. @returns When it is gone. */
  async kill(): Promise<void> {
    this.isWorn = true;
    this.#isEnding = true;
    this.#ref();
    this.#signal("SIGKILL");
    await this.#exited;
  }

  /** Ends its resources, and then it. */
  async close(): Promise<void> {
    this.isWorn = true;
    if (this.#isGone) return;
    const { clock } = this.#options.host;
    this.#ref();
    this.#send({ kind: "close" });
    let clear = () => {};
    const late = new Promise<void>((resolve) => {
      clear = clock.timer(clock.now() + CLOSE_MS, resolve);
    });
    await Promise.race([late, this.#exited]);
    clear();
    await this.kill();
  }

  #begin(): void {
    const { settings, host } = this.#options;
    const { url, cpuMs, memoryLimitMb } = settings;
    this.#send({ kind: "start", url, cpuMs, memoryLimitMb });
    const clear = host.clock.timer(host.clock.now() + settings.startMs, () => {
      this.#onUnfit(startFailed(url, `it took longer than ${settings.startMs} ms. Raise startTimeout`));
      void this.kill();
    });
    void Promise.race([this.ready.catch(() => undefined), this.#exited]).then(clear);
  }

  #listen(): void {
    const { stdout, stderr, stdio } = this.#process;
    this.#process.on("message", (received) => {
      const message = unmarked<FromChild>(received);
      if (message !== undefined) this.#receive(message);
    });
    stdout?.on("data", (chunk: Buffer) => this.#wrote("stdout", chunk));
    stderr?.on("data", (chunk: Buffer) => {
      this.#lastWords = (this.#lastWords + chunk.toString("utf8")).slice(-LAST_WORDS_LENGTH);
      this.#wrote("stderr", chunk);
    });
    const verdicts = stdio[VERDICT_FD] as NodeJS.ReadableStream | null | undefined;
    verdicts?.on("data", (verdict: Buffer) => {
      this.#verdict = verdict.toString() as Verdict;
    });
    // A pipe that breaks is no news: the exit tells.
    for (const pipe of [stdout, stderr, verdicts]) pipe?.on("error", () => {});
  }

  #receive(message: FromChild): void {
    const { log } = this.#options.host;
    const details = { module: this.#options.settings.url };
    switch (message.kind) {
      case "ready":
        for (const pipe of this.#pipes()) pipe.unref?.();
        this.#unref();
        return this.#onReady(message.definitions);
      case "unfit":
        this.#onUnfit(workerError(message.error));
        return void this.kill();
      case "worn":
        this.isWorn = true;
        return log.warn(details, `${message.why}: its process is replaced`);
      case "noise":
        return log[message.level](details, message.text);
      case "ended":
        // What was written before has arrived with it: one turn of the event loop reads it.
        return void startImmediate(() => this.#ended(message));
      default:
        this.#attempt?.receive(message);
    }
  }

  #ended({ token, outcome }: Extract<FromChild, { readonly kind: "ended" }>): void {
    const attempt = this.#attempt;
    // Of one that is being ended by force: the process ends with it, whatever it says by now.
    if (attempt?.token !== token || this.#isEnding) return;
    this.#endOutput();
    this.#attempt = undefined;
    if (this.#tasks >= this.#options.settings.tasksPerProcess) this.isWorn = true;
    this.#unref();
    attempt.end(outcome);
    this.#options.onFree(this);
  }

  #gone({ code, signal }: Pick<Death, "code" | "signal">): void {
    if (this.#isGone) return;
    // Programs it has started go with it.
    this.#signal("SIGKILL");
    this.#isGone = true;
    this.isWorn = true;
    // The pipes may hold its last words; programs that left its group could keep them open for ever.
    startImmediate(() => {
      this.#buryWith({ code, signal, verdict: this.#verdict, lastWords: this.#lastWords, isOurs: this.#isEnding });
    });
  }

  #buryWith(death: Death): void {
    const { stdout, stderr, stdio } = this.#process;
    for (const pipe of [stdout, stderr, stdio[VERDICT_FD]]) pipe?.destroy();
    const { settings } = this.#options;
    this.#onUnfit(startFailure(settings.url, death));
    const attempt = this.#attempt;
    this.#endOutput();
    this.#attempt = undefined;
    attempt?.fail(deathOf(attempt.job.task, death, settings));
    this.#options.onGone(this);
  }

  #wrote(stream: "stdout" | "stderr", chunk: Buffer): void {
    if (this.#port !== undefined) {
      this.#output ??= new AttemptOutput(this.#port);
      return this.#output.write(stream, chunk);
    }
    const text = chunk.toString("utf8").trimEnd();
    if (text !== "") this.#options.host.log.debug({ module: this.#options.settings.url, stream }, text);
  }

  #endOutput(): void {
    this.#output?.end();
    this.#output = undefined;
    this.#port = undefined;
  }

  #send(message: ToChild): void {
    if (this.#process.connected)
      this.#process.send(message.kind === "run" ? markedRun(message) : marked(message), () => {});
  }

  #signal(signal: NodeJS.Signals): void {
    const { pid } = this.#process;
    if (pid === undefined || (this.#isGone && signal !== "SIGKILL")) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // The group is gone.
    }
  }

  /** A process that waits for work does not keep this one alive. */
  #unref(): void {
    this.#process.unref();
    this.#process.channel?.unref();
  }

  #ref(): void {
    this.#process.ref();
    if (this.#process.connected) this.#process.channel?.ref();
  }

  #pipes(): readonly { unref?(): void }[] {
    const { stdout, stderr, stdio } = this.#process;
    return [stdout, stderr, stdio[VERDICT_FD]] as unknown as readonly { unref?(): void }[];
  }
}

/** What the processes of one attempt write, as lines of its log. */
class AttemptOutput {
  readonly #streams: Readonly<Record<"stdout" | "stderr", OutputLines>>;

  constructor(port: TaskPort) {
    const lines = (stream: "stdout" | "stderr", level: "info" | "warn") =>
      new OutputLines({
        line: (line) => port.log(level, line, { stream }),
        dropped: (count, bytes) =>
          port.log("warn", `${count} more lines (${bytes} bytes) on ${stream} were dropped`, { stream }),
      });
    this.#streams = { stdout: lines("stdout", "info"), stderr: lines("stderr", "warn") };
  }

  write(stream: "stdout" | "stderr", chunk: Buffer): void {
    this.#streams[stream].write(chunk);
  }

  end(): void {
    this.#streams.stdout.end();
    this.#streams.stderr.end();
  }
}

function started({ cwd, env, uid, gid, execArgv }: Settings): ChildProcess {
  return fork(entryFile(), [], {
    execArgv: [...execArgv],
    env: { ...env },
    // A group of its own: a signal reaches whatever its tasks start, and a terminal's Ctrl+C only the engine.
    detached: true,
    serialization: "advanced",
    stdio: ["ignore", "pipe", "pipe", "ipc", "pipe"],
    ...(cwd !== undefined && { cwd }),
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
  });
}

function startFailed(url: string, reason: string, cause?: unknown): WeftlineError {
  return new WeftlineError("WORKER_START_FAILED", `no process could load module ${url}: ${reason}.`, { cause });
}

/** The process's file beside this one; when this is the source, in the last build, as Node cannot load TypeScript. */
function entryFile(): string {
  const extension = extname(fileURLToPath(import.meta.url));
  const path = extension === ".ts" ? "../dist/worker-entry.js" : `./worker-entry${extension}`;
  const file = fileURLToPath(new URL(path, import.meta.url));
  if (existsSync(file)) return file;
  throw new WeftlineError(
    "EXECUTOR_INVALID",
    `Cannot run tasks in child processes as ${file} is not there. Do not bundle @weftline/executor-child-process.`,
  );
}
