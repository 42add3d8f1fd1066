// Runs in each thread. Piscina calls the default export once, to load the module; from then on jobs come by the port.
import { AsyncResource } from "node:async_hooks";
import { threadId } from "node:worker_threads";
import { toErrorRecord } from "weftline";
import {
  captureOutput,
  definitionsOf,
  type FromWorker,
  LentResources,
  loadTaskModule,
  TaskServer,
} from "weftline/remote";
import { Leftovers } from "./leftovers.js";
import {
  type FromThread,
  JobUnpacker,
  type SentJob,
  type ThreadStart,
  type ThreadStarted,
  type ToThread,
} from "./wire.js";

/** So many turns of the event loop what a task has just closed may take to be gone. */
const SETTLING_TURNS = 3;

/** A context for each task: else what one enters (`enterWith`) would stay that of the port, and of all tasks that follow. */
const inOwnContext = (run: () => void): void =>
  new AsyncResource("weftline-task", { requireManualDestroy: true }).runInAsyncScope(run);

// Captured at load: a task may replace the globals.
const { setImmediate: startImmediate } = globalThis;

export default async function start(options: ThreadStart): Promise<ThreadStarted> {
  try {
    const module = await loadTaskModule(options.url, importTypeScript);
    const resources = new LentResources(module.resources);
    const lent = await resources.open();
    const thread = new ThreadLoop(options, resources);
    thread.serve(new TaskServer({ module, resources: lent, send: thread.fromServer }));
    return { definitions: definitionsOf(module), threadId };
  } catch (thrown) {
    return { error: toErrorRecord(thrown) };
  }
}

/** Loaded only where it is needed, as it takes longer to load than all the rest. */
async function importTypeScript(url: string): Promise<Readonly<Record<string, unknown>>> {
  const { createJiti } = await import("jiti");
  return createJiti(url).import(url);
}

/** The thread's side of its port. */
class ThreadLoop {
  readonly #options: ThreadStart;
  readonly #resources: LentResources;
  readonly #unpacker = new JobUnpacker();
  readonly #leftovers: Leftovers | undefined;
  #server!: TaskServer;
  #isWorn = false;

  constructor(options: ThreadStart, resources: LentResources) {
    this.#options = options;
    this.#resources = resources;
    this.#leftovers = options.isRecycling ? new Leftovers() : undefined;
  }

  serve(server: TaskServer): void {
    this.#server = server;
    captureOutput(
      (stream, chunk) => server.wrote(stream, chunk),
      (level, text) => this.#send({ kind: "noise", level, text }),
    );
    process.on("uncaughtException", (error) => this.#uncaught(error));
    process.on("unhandledRejection", (reason) => this.#uncaught(reason));
    this.#options.port.on("message", (message: ToThread) => this.#receive(message));
  }

  readonly fromServer = (message: FromWorker, transfer: readonly ArrayBuffer[]): void => {
    if (message.kind !== "ended") return this.#send(message, transfer);
    const left = this.#leftovers?.find();
    if (left === undefined) this.#end(message);
    else void this.#endAfterSettling(message);
  };

  #receive(message: ToThread): void {
    if (typeof message === "string" || Array.isArray(message)) {
      return inOwnContext(() => this.#server.receive(this.#unpacker.unpack(message as SentJob)));
    }
    const said = message as Exclude<ToThread, SentJob>;
    if (said.kind === "close") void this.#close();
    else this.#server.receive(said);
  }

  #end(message: Extract<FromWorker, { readonly kind: "ended" }>): void {
    const { token, outcome } = message;
    const isPlain =
      outcome.kind === "succeeded" &&
      outcome.warning === undefined &&
      outcome.cacheKey === undefined &&
      outcome.cachedFrom === undefined;
    this.#send(isPlain ? `${token} ${outcome.output}` : message);
  }

  async #endAfterSettling(message: Extract<FromWorker, { readonly kind: "ended" }>): Promise<void> {
    for (let turn = 0; turn < SETTLING_TURNS; turn++) {
      await new Promise<void>((resolve) => startImmediate(resolve));
      if (this.#leftovers?.find() === undefined) return this.#end(message);
    }
    const left = this.#leftovers!.find();
    if (left !== undefined) {
      const text = `left ${left} behind: its thread is replaced`;
      this.#send({ kind: "said", token: message.token, said: ["log", "warn", text, undefined] });
      this.#wearOut(`a task left ${left} behind; its thread is replaced`);
    }
    this.#end(message);
  }

  #uncaught(thrown: unknown): void {
    const { message } = toErrorRecord(thrown);
    if (this.#server.uncaught(thrown)) return this.#wearOut(`a task threw where nobody catches (${message})`);
    this.#send({
      kind: "noise",
      level: "warn",
      text: `something was thrown by code of a task that had ended: ${message}`,
    });
    this.#wearOut("its thread is replaced");
  }

  #wearOut(why: string): void {
    if (this.#isWorn) return;
    this.#isWorn = true;
    this.#send({ kind: "worn", why });
  }

  async #close(): Promise<void> {
    try {
      await this.#resources.close();
    } catch (thrown) {
      const text = `the resources of a thread could not be ended: ${toErrorRecord(thrown).message}`;
      this.#send({ kind: "noise", level: "warn", text });
    }
    this.#send({ kind: "closed" });
  }

  #send(message: FromThread, transfer: readonly ArrayBuffer[] = []): void {
    const { port, sent } = this.#options;
    port.postMessage(message, transfer as ArrayBuffer[]);
    Atomics.add(sent, 0, 1);
  }
}
