import type { ExecutorHost, TaskJob, TaskOutcome, TaskPort } from "weftline";
import { WeftlineError } from "weftline";
import { type Definitions, RemoteAttempt } from "weftline/remote";
import type { Settings } from "./options.js";
import { Thread } from "./thread.js";

/** The threads of one executor: as many as there is work for. */
export class ThreadPool {
  readonly #settings: Settings;
  readonly #host: ExecutorHost;
  readonly #threads = new Set<Thread>();
  /** Ready for a task, the one that was busy last at the end: it is warm, and the others may end. */
  readonly #idle: Thread[] = [];
  readonly #waiting: RemoteAttempt[] = [];
  /** What ends threads in the background, for `stop()` to wait for. */
  readonly #endings = new Set<Promise<void>>();
  #starting = 0;
  #lastToken = 0;
  #isStopped = false;
  #onIdle: (() => void) | undefined;
  #clearSweep: (() => void) | undefined;

  constructor(settings: Settings, host: ExecutorHost) {
    this.#settings = settings;
    this.#host = host;
  }

  /** Starts one thread, or as many as are to stay. @returns What they have. @throws {WeftlineError} `WORKER_START_FAILED` */
  async start(): Promise<Definitions> {
    const threads = Array.from({ length: Math.max(1, this.#settings.minThreads) }, () => this.#add());
    const [definitions] = await Promise.all(threads.map(({ ready }) => ready));
    return definitions!;
  }

  run(job: TaskJob, port: TaskPort): Promise<TaskOutcome> {
    const { clock } = this.#host;
    const token = ++this.#lastToken;
    const attempt: RemoteAttempt = new RemoteAttempt({ token, job, port, clock, kill: () => this.#kill(attempt) });
    if (this.#isStopped) attempt.fail(stopped(job));
    const thread = this.#idle.pop();
    if (attempt.hasSettled) {
      if (thread) this.#idle.push(thread);
    } else if (thread !== undefined) this.#runOn(thread, attempt);
    else {
      this.#waiting.push(attempt);
      this.#grow();
    }
    return attempt.outcome;
  }

  /** Lets what runs go on for so long, then ends everything. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopped = true;
    for (const attempt of this.#waiting.splice(0)) attempt.fail(stopped(attempt.job));
    if (this.#busy > 0) await this.#idleWithin(graceMs);
    this.#clearSweep?.();
    const threads = [...this.#threads];
    await Promise.all(threads.map((thread) => (thread.isBusy ? thread.kill() : thread.close())));
    await Promise.all(this.#endings);
  }

  get #busy(): number {
    let busy = 0;
    for (const thread of this.#threads) if (thread.isBusy) busy++;
    return busy;
  }

  #idleWithin(ms: number): Promise<void> {
    const { clock } = this.#host;
    return new Promise((resolve) => {
      const clear = clock.timer(clock.now() + ms, resolve);
      this.#onIdle = () => {
        clear();
        resolve();
      };
    });
  }

  #runOn(thread: Thread, attempt: RemoteAttempt): void {
    thread.run(attempt);
  }

  /** Starts threads for attempts that no other will come free for soon. */
  #grow(): void {
    while (this.#starting < this.#waiting.length && this.#threads.size < this.#settings.maxThreads) this.#add();
  }

  #add(): Thread {
    this.#starting++;
    const thread: Thread = new Thread({
      settings: this.#settings,
      host: this.#host,
      onFree: (free) => this.#free(free),
      onGone: (gone) => this.#gone(gone),
      onMessage: () => this.#drainOthers(),
    });
    this.#threads.add(thread);
    thread.ready.then(
      () => {
        this.#starting--;
        this.#free(thread);
      },
      (error: WeftlineError) => {
        this.#starting--;
        this.#threads.delete(thread);
        // One attempt pays for each start that fails: a module that cannot be loaded is not tried for ever.
        if (this.#next()?.fail(error) === undefined && !this.#isStopped) this.#grow();
      },
    );
    return thread;
  }

  /** The next attempt that still wants to run. */
  #next(): RemoteAttempt | undefined {
    for (let attempt = this.#waiting.shift(); attempt; attempt = this.#waiting.shift()) {
      if (!attempt.hasSettled) return attempt;
    }
    return undefined;
  }

  #free(thread: Thread): void {
    if (thread.isGone) return;
    if (thread.isWorn || this.#isStopped) return this.#retire(thread);
    const next = this.#next();
    if (next !== undefined) return this.#runOn(thread, next);
    this.#idle.push(thread);
    if (this.#threads.size <= this.#settings.minThreads) return;
    thread.idleSince = this.#host.clock.monotonicMs();
    this.#sweepLater();
  }

  /** A thread that is worn out makes room for a new one. */
  #retire(thread: Thread): void {
    if (this.#isStopped) {
      if (this.#busy === 0) this.#onIdle?.();
      return;
    }
    this.#threads.delete(thread);
    this.#inBackground(thread.close());
    this.#grow();
    this.#keepMin();
  }

  #keepMin(): void {
    while (this.#threads.size < this.#settings.minThreads) this.#add();
  }

  /** Sees to it that threads beyond those that are to stay end when they are idle for long. */
  #sweepLater(): void {
    if (this.#clearSweep !== undefined || this.#threads.size <= this.#settings.minThreads) return;
    const { clock } = this.#host;
    // One timer for all, as to set one for each task would cost more than the rest here.
    const everyMs = Math.max(1, this.#settings.idleMs / 2);
    this.#clearSweep = clock.timer(clock.now() + everyMs, () => {
      this.#clearSweep = undefined;
      this.#sweep(clock.monotonicMs());
      if (this.#idle.length > 0) this.#sweepLater();
    });
  }

  #sweep(now: number): void {
    while (this.#threads.size > this.#settings.minThreads) {
      const [longest] = this.#idle;
      if (longest === undefined || now - longest.idleSince < this.#settings.idleMs) return;
      this.#idle.shift();
      this.#threads.delete(longest);
      this.#inBackground(longest.close());
    }
  }

  #gone(thread: Thread): void {
    const place = this.#idle.indexOf(thread);
    if (place >= 0) this.#idle.splice(place, 1);
    if (!this.#threads.delete(thread)) return;
    if (this.#isStopped) {
      if (this.#busy === 0) this.#onIdle?.();
      return;
    }
    this.#grow();
  }

  /** A thread has said something: what others have said is taken in the same turn of the event loop. */
  #drainOthers(): void {
    for (const thread of this.#threads) if (thread.isBusy) thread.drain();
  }

  async #kill(attempt: RemoteAttempt): Promise<void> {
    for (const thread of this.#threads) if (thread.attempt === attempt) await thread.kill();
  }

  #inBackground(ending: Promise<void>): void {
    const tracked = ending.finally(() => this.#endings.delete(tracked));
    this.#endings.add(tracked);
  }
}

function stopped({ task }: TaskJob): WeftlineError {
  return new WeftlineError(
    "ENGINE_STOPPED",
    `Cannot run task "${task}" as its engine was stopped. The next engine does.`,
  );
}
