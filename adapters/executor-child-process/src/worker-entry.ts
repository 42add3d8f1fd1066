// Runs in each child process.
import { Worker } from "node:worker_threads";
import { toErrorRecord } from "weftline";
import {
  captureOutput,
  definitionsOf,
  LentResources,
  loadTaskModule,
  type TaskModule,
  TaskServer,
} from "weftline/remote";
import type { WatchdogData } from "./watchdog.js";
import { type ChildStart, type FromChild, marked, markedEnd, type ToChild, unmarked } from "./wire.js";

// Kept, as task code may replace what is global.
const send = process.send!.bind(process);
const { exit, kill, pid, ppid } = process;

/** One number that the watchdog reads: how many attempts have begun, negative while none runs. */
const attempts = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
let begun = 0;

let server: TaskServer | undefined;
let resources: LentResources | undefined;

const ignore = (): void => {};

function say(message: FromChild): void {
  if (message.kind === "ended") Atomics.store(attempts, 0, -begun);
  // A parent that is gone is noticed by `disconnect`; the callback keeps its absence from being thrown here.
  send(message.kind === "ended" ? markedEnd(message) : marked(message), undefined, undefined, ignore);
}

async function start({ url, cpuMs, memoryLimitMb }: ChildStart): Promise<void> {
  try {
    const module = await loadTaskModule(url, importTypeScript);
    await serve(module);
    say({ kind: "ready", definitions: definitionsOf(module) });
  } catch (thrown) {
    say({ kind: "unfit", error: toErrorRecord(thrown) });
  }
  watch({ parent: ppid, cpuMs, memoryLimitMb, attempts });
}

async function serve(module: TaskModule): Promise<void> {
  resources = new LentResources(module.resources);
  server = new TaskServer({ module, resources: await resources.open(), send: say });
  // By messages, bounded here; the pipes are for programs it starts and for native code.
  captureOutput(
    (stream, chunk) => server!.wrote(stream, chunk),
    (level, text) => say({ kind: "noise", level, text }),
  );
  process.on("uncaughtException", uncaught);
  process.on("unhandledRejection", uncaught);
}

/** jiti is loaded only where it is needed: it would be a third of the time a process takes to start. */
async function importTypeScript(url: string): Promise<Readonly<Record<string, unknown>>> {
  const { createJiti } = await import("jiti");
  return createJiti(url).import(url);
}

function watch(data: WatchdogData): void {
  const here = import.meta.url;
  const file = new URL(`./watchdog${here.slice(here.lastIndexOf("."))}`, here);
  const resourceLimits = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4, stackSizeMb: 1 };
  // Its own options: loaders of the host would only make its start longer.
  new Worker(file, { workerData: data, resourceLimits, execArgv: [], stdout: false, stderr: false }).unref();
}

function uncaught(thrown: unknown): void {
  const { message } = toErrorRecord(thrown);
  if (server!.uncaught(thrown)) say({ kind: "worn", why: `a task threw where nobody catches (${message})` });
  else say({ kind: "noise", level: "warn", text: `something was thrown by code of a task that had ended: ${message}` });
}

async function close(): Promise<void> {
  try {
    await resources?.close();
  } catch (thrown) {
    say({ kind: "noise", level: "warn", text: `its resources could not be ended: ${toErrorRecord(thrown).message}` });
  }
  exit.call(process, 0);
}

process.on("message", (received) => {
  const message = unmarked<ToChild>(received);
  if (message === undefined) return;
  if (message.kind === "start") void start(message);
  else if (message.kind === "close") void close();
  else {
    if (message.kind === "run") Atomics.store(attempts, 0, ++begun);
    server?.receive(message);
  }
});

// The engine is gone: nobody may be told what comes of the task, and somebody else does it again.
process.on("disconnect", () => kill.call(process, -pid, "SIGKILL"));
// Sent to the whole group when a task is to stop, for the programs that it started; this process hears of it by a message.
process.on("SIGTERM", () => {});
// A terminal's Ctrl+C is the engine's to answer.
process.on("SIGINT", () => {});
