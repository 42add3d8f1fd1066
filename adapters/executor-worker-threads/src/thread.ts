import { existsSync } from "node:fs";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from "node:worker_threads";
import { Piscina } from "piscina";
import { type ExecutorHost, WeftlineError } from "weftline";
import { type Definitions, type RemoteAttempt, type ToWorker, workerError } from "weftline/remote";
import type { Settings } from "./options.js";
import { threadArgv } from "./thread-argv.js";
import { type FromThread, JobPacker, type ThreadStart, type ThreadStarted, type ToThread } from "./wire.js";

/** How long a thread may take to end its resources before it is ended all the same, in milliseconds. */
const CLOSE_MS = 2_000;

export interface ThreadOptions {
  readonly settings: Settings;
  readonly host: ExecutorHost;
  /** It has no attempt any more: it can have another, or is worn out. */
  readonly onFree: (thread: Thread) => void;
  /** It is gone, by itself or by force. */
  readonly onGone: (thread: Thread) => void;
  /** Something came from it: others may have said something too. */
  readonly onMessage: () => void;
}

/**
 * One thread, with at most one attempt in it. Each is a pool of its own for piscina, which makes and ends it: which thread
 * runs what, when one is worn out, and which is ended by force, is not piscina's to say.
 */
export class Thread {
  /** Settles when it can run tasks. @throws {WeftlineError} `WORKER_START_FAILED` */
  readonly ready: Promise<Definitions>;
  /** It takes no more attempts. */
  isWorn = false;
  isGone = false;
  /** Since when it has nothing to do, by the host's monotonic clock. */
  idleSince = 0;
  readonly #options: ThreadOptions;
  readonly #pool: Piscina;
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #sent = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  readonly #packer: JobPacker;
  /** How large its heap may grow. */
  readonly #heapMb: number | undefined;
  readonly #exited: Promise<void>;
  #attempt: RemoteAttempt | undefined;
  #tasks = 0;
  /** Messages taken from the port so far. */
  #received = 0;
  #failure: Error | undefined;
  #isEnding = false;
  #onClosed: (() => void) | undefined;

  constructor(options: ThreadOptions) {
    const { settings, host } = options;
    this.#options = options;
    this.#packer = new JobPacker(host.limits);
    const execArgv = settings.execArgv ?? threadArgv(process.execArgv);
    this.#pool = new Piscina({
      filename: entryFile(),
      // Made by the first task, and never replaced by the pool itself.
      ...{ minThreads: 0, maxThreads: 1, idleTimeout: Number.POSITIVE_INFINITY },
      // Its event loop has to turn: a task that is told to stop hears of it by a message.
      atomics: "disabled",
      recordTiming: false,
      ...(settings.resourceLimits && { resourceLimits: settings.resourceLimits }),
      ...(settings.env && { env: { ...settings.env } }),
      ...(execArgv && { execArgv: [...execArgv] }),
    });
    // What it tells of a thread without a task is heard from the thread itself; unheard it would end this process.
    this.#pool.on("error", (error: Error) => {
      this.#failure ??= error;
    });
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#port.on("message", (message: FromThread) => {
      this.#received++;
      this.#receive(message);
      options.onMessage();
    });
    this.#port.unref();
    const started = this.#start(port2);
    this.#worker = this.#pool.threads[0]!;
    this.#heapMb = this.#worker.resourceLimits?.maxOldGenerationSizeMb; // nothing is told of one that has ended
    this.#worker.on("error", (error) => {
      this.#failure = error as Error;
    });
    this.#exited = new Promise((resolve) => {
      this.#worker.once("exit", (code) => {
        this.#gone(code);
        resolve();
      });
    });
    this.ready = this.#whenReady(started);
    this.ready.catch(() => undefined);
  }

  get isBusy(): boolean {
    return this.#attempt !== undefined;
  }

  get attempt(): RemoteAttempt | undefined {
    return this.#attempt;
  }

  run(attempt: RemoteAttempt): void {
    this.#attempt = attempt;
    this.#tasks++;
    this.#port.ref();
    this.#send(this.#packer.pack(attempt.token, attempt.job));
    attempt.started(this.#send);
  }

  /** Takes what it has said, without waiting for the event loop to bring it. @returns Whether there was anything. */
  drain(): boolean {
    if (Atomics.load(this.#sent, 0) === this.#received) return false;
    for (let next = receiveMessageOnPort(this.#port); next; next = receiveMessageOnPort(this.#port)) {
      this.#received++;
      this.#receive(next.message as FromThread);
    }
    return true;
  }

  /** Ends it at once, whatever it does. @returns When nothing of it runs any more. */
  async kill(): Promise<void> {
    this.isWorn = true;
    this.#isEnding = true;
    await this.#pool.destroy();
    await this.#exited;
  }

  /** Ends its resources, and then it. */
  async close(): Promise<void> {
    this.isWorn = true;
    if (this.isGone) return;
    const { clock } = this.#options.host;
    this.#port.ref();
    const closed = new Promise<void>((resolve) => {
      this.#onClosed = resolve;
      this.#send({ kind: "close" });
    });
    let clear = () => {};
    const late = new Promise<void>((resolve) => {
      clear = clock.timer(clock.now() + CLOSE_MS, resolve);
    });
    await Promise.race([closed, late, this.#exited]);
    clear();
    await this.kill();
  }

  #start(port: MessagePort): Promise<ThreadStarted> {
    const { url, isRecycling } = this.#options.settings;
    const start: ThreadStart = { url, port, sent: this.#sent, isRecycling };
    return this.#pool.run(start, { transferList: [port] }) as Promise<ThreadStarted>;
  }

  async #whenReady(starting: Promise<ThreadStarted>): Promise<Definitions> {
    const { settings, host } = this.#options;
    let clear = () => {};
    const late = new Promise<never>((_, reject) => {
      clear = host.clock.timer(host.clock.now() + settings.startMs, () =>
        reject(startFailed(settings.url, `it took longer than ${settings.startMs} ms. Raise startTimeout`)),
      );
    });
    try {
      const started = await Promise.race([starting, late]);
      if ("error" in started) throw workerError(started.error);
      return started.definitions;
    } catch (thrown) {
      // Piscina only knows that the thread is gone; the thread itself may have said why.
      const cause = this.#failure ?? thrown;
      const error = thrown instanceof WeftlineError ? thrown : startFailed(settings.url, reasonOf(cause), cause);
      await this.kill();
      throw error;
    } finally {
      clear();
    }
  }

  readonly #send = (message: ToThread | ToWorker): void => {
    if (!this.isGone) this.#port.postMessage(message);
  };

  #receive(message: FromThread): void {
    if (typeof message === "string") {
      const space = message.indexOf(" ");
      return this.#ended(Number(message.slice(0, space)), { kind: "succeeded", output: message.slice(space + 1) });
    }
    switch (message.kind) {
      case "ended":
        return this.#ended(message.token, message.outcome);
      case "worn":
        this.isWorn = true;
        return this.#options.host.log.warn({ module: this.#options.settings.url }, message.why);
      case "noise":
        return this.#options.host.log[message.level]({ module: this.#options.settings.url }, message.text);
      case "closed":
        return this.#onClosed?.();
      default:
        this.#attempt?.receive(message);
    }
  }

  #ended(token: number, outcome: Parameters<RemoteAttempt["end"]>[0]): void {
    const attempt = this.#attempt;
    if (attempt?.token !== token) return;
    // Of one that is being ended by force: the thread ends with it, whatever it says by now.
    if (this.#isEnding) return;
    this.#free();
    attempt.end(outcome);
    this.#options.onFree(this);
  }

  #free(): void {
    this.#attempt = undefined;
    this.#port.unref();
    if (this.#tasks >= this.#options.settings.tasksPerThread) this.isWorn = true;
  }

  #gone(code: number): void {
    if (this.isGone) return;
    this.drain(); // what it said before
    this.isGone = true;
    this.isWorn = true;
    this.#port.close();
    const attempt = this.#attempt;
    this.#attempt = undefined;
    attempt?.fail(this.#deathOf(attempt, code));
    this.#failure ??= new Error(`the thread ended with code ${code}`);
    this.#options.onGone(this);
    void this.#pool.destroy();
  }

  #deathOf(attempt: RemoteAttempt, code: number): WeftlineError {
    const { task } = attempt.job;
    const failure = this.#failure as (Error & { readonly code?: string }) | undefined;
    if (failure?.code === "ERR_WORKER_OUT_OF_MEMORY") {
      const heap = this.#heapMb === undefined ? "" : ` (a heap of ${Math.round(this.#heapMb)} MB)`;
      return new WeftlineError(
        "WORKER_OUT_OF_MEMORY",
        `task "${task}" needed more memory than its thread may have${heap}. Let it hold less at once, or raise resourceLimits.`,
        { cause: failure },
      );
    }
    if (this.#isEnding) {
      return new WeftlineError(
        "WORKER_EXITED",
        `the thread of task "${task}" was ended by force, as its engine stopped. The next engine runs the task again.`,
      );
    }
    if (code === 0 && failure === undefined) {
      return new WeftlineError(
        "NO_RESULT",
        `the thread of task "${task}" ended with code 0 before the task did. Do not call process.exit() in a task: return.`,
      );
    }
    return new WeftlineError(
      "WORKER_EXITED",
      `the thread of task "${task}" ended with code ${code} before the task did${failure ? `: ${failure.message}` : ""}. Do not call process.exit() in a task.`,
      failure && { cause: failure },
    );
  }
}

function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
}

function startFailed(url: string, reason: string, cause?: unknown): WeftlineError {
  return new WeftlineError("WORKER_START_FAILED", `no thread could load module ${url}: ${reason}.`, { cause });
}

/** The thread's file beside this one; when this is the source, in the last build, as a thread cannot load TypeScript. */
function entryFile(): string {
  const extension = extname(fileURLToPath(import.meta.url));
  const path = extension === ".ts" ? "../dist/worker-entry.js" : `./worker-entry${extension}`;
  const file = fileURLToPath(new URL(path, import.meta.url));
  if (existsSync(file)) return file;
  throw new WeftlineError(
    "EXECUTOR_INVALID",
    `Cannot run tasks in worker threads as ${file} is not there. Do not bundle @weftline/executor-worker-threads.`,
  );
}
