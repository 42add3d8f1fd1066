// Triggers runs, speaks to them and waits for their results, and writes down each call in Jepsen's form.
import { createEngine, RunCancelledError, type RunHandle, WeftlineError } from "weftline";
import { crashPipelines, NO_SURROUNDINGS } from "../pipeline.js";
import { sabotaged } from "../sqlite/sabotage.js";
import { LineFile, readLines } from "../witness.js";
import { CLIENTS, type ClientLine, logOf, POLL_MS, type ProcessOptions, STARTED, storageOf, WORK_MS } from "./world.js";

/** Runs that are under way at once. */
const OPEN_RUNS = 6;
/** Of the runs, one in so many is triggered by two calls at once, and another one in so many is cancelled. */
const TWICE_IN = 5;
const CANCELLED_IN = 9;
/** Before a call of unknown outcome is made again, in milliseconds. */
const AGAIN_MS = 100;

const options = JSON.parse(process.argv[2]!) as ProcessOptions;
const { name, sabotage } = options;
const log = logOf(options, CLIENTS);
const before = readLines<ClientLine>(log);
const lines = new LineFile(log);
const { crash } = crashPipelines({ ...NO_SURROUNDINGS, workMs: WORK_MS });
// It is never started: it asks, and others run.
const engine = createEngine({
  pipelines: [crash],
  storage: sabotaged(storageOf(options), sabotage === "forgets-messages" ? sabotage : undefined),
  name,
  poll: POLL_MS,
  log: { debug() {}, info() {}, warn() {}, error: (details, message) => console.error(message, details) },
});

let calls = 0;
let isDraining = false;

type Returned = Pick<ClientLine, "runId" | "status" | "report">;

/** @returns `undefined`: it surely did not happen, and never will. */
async function call<Answer>(
  about: Pick<ClientLine, "operation" | "key">,
  made: () => Promise<Answer>,
  returned: (answer: Answer) => Returned,
): Promise<Answer | undefined> {
  for (;;) {
    const line = { ...about, client: name, call: ++calls, invokedAt: Date.now() };
    lines.append(line satisfies ClientLine);
    const say = (outcome: ClientLine["outcome"], more: object) =>
      lines.append({ ...line, returnedAt: Date.now(), outcome, ...more });
    try {
      const answer = await made();
      say("ok", returned(answer));
      return answer;
    } catch (error) {
      const isFinal = error instanceof WeftlineError && !error.retryable;
      say(isFinal ? "fail" : "unknown", { code: error instanceof WeftlineError ? error.code : String(error) });
      if (isFinal) return undefined;
    }
    await pause(AGAIN_MS);
  }
}

/** From the trigger of a run to its result. Done again by the next client when this one is killed. */
async function accompany(key: string): Promise<void> {
  const trigger = () =>
    call(
      { operation: "trigger", key },
      () => engine.trigger(crash, {}, { key }),
      ({ id }) => ({ runId: id }),
    );
  const number = Number(key.slice("run-".length));
  const [run] = await Promise.all(number % TWICE_IN === 0 ? [trigger(), trigger()] : [trigger()]);
  if (run === undefined) return;
  const { id: runId } = run;
  await pause(Math.random() * 400);
  if (number % CANCELLED_IN === 4) {
    await call(
      { operation: "cancel", key },
      () => run.cancel(),
      () => ({ runId }),
    );
  }
  await call(
    { operation: "signal", key },
    () => run.signal("approval", { by: "Ada" }),
    () => ({ runId }),
  );
  await call(
    { operation: "result", key },
    () => endOf(run),
    (end) => ({ runId, ...end }),
  );
}

async function endOf(run: RunHandle<{ readonly report: unknown }>): Promise<Returned> {
  try {
    return { status: "succeeded", report: (await run.result()).report };
  } catch (error) {
    if (error instanceof RunCancelledError) return { status: "cancelled" };
    throw error;
  }
}

/** What clients before this one left under way comes first. */
function* keys(): Generator<string> {
  const known = new Set(before.map(({ key }) => key));
  const done = new Set(
    before.flatMap(({ operation, outcome, key }) => (operation === "result" && outcome === "ok" ? [key] : [])),
  );
  for (const key of known) if (!done.has(key)) yield key;
  for (let number = known.size; !isDraining; number++) yield `run-${number}`;
}

async function work(todo: Iterator<string>): Promise<void> {
  for (let next = todo.next(); !next.done; next = todo.next()) await accompany(next.value);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

process.once("SIGTERM", () => {
  isDraining = true;
});
console.log(STARTED);
const todo = keys();
await Promise.all(Array.from({ length: OPEN_RUNS }, () => work(todo)));
await engine.stop();
lines.close();
