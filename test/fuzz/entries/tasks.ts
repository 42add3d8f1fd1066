import fc from "fast-check";
import { createEngine, pipeline, RunFailedError } from "weftline";
import { mostly, objectOf, values } from "../cases.js";
import { type Entry, entry, Told } from "../entry.js";
import { hostile, hostileError, hostileNumber, hostileText } from "../hostile.js";
import type { World } from "../world.js";
import { answering } from "./options.js";

// biome-ignore lint/suspicious/noExplicitAny: a caller without types is what this is about
type Any = any;

/** Some of what is returned never settles: a run has its time. Runs a pipeline on an engine of its own; that its run fails is an answer, whose text is for people. */
async function ran(build: (p: Any) => void): Promise<Told | undefined> {
  const made = pipeline("fuzzed", { timeout: "200ms" }, build);
  const engine = createEngine({
    pipelines: [made],
    log: { debug() {}, info() {}, warn() {}, error() {} },
    abortGrace: 0,
  });
  try {
    await engine.run(made, {} as never);
    return undefined;
  } catch (error) {
    // What tasks threw is the caller's own; how the run as a whole tells of it is the library's.
    if (!(error instanceof RunFailedError)) throw error;
    return new Told(error.message.slice(0, 19_000).replace(/own|Thrown value[^\n]*/g, ""));
  } finally {
    await engine.stop({ grace: 0 });
  }
}

/** Calls a member of a task's context; what it refuses with reaches the task, and from there this. */
function inTask(member: string, args: Entry["args"], use: (context: Any, ...args: Any[]) => unknown): Entry {
  return entry(`TaskContext.${member}`, args, async (_world: World, ...rest: Any[]) => {
    let refusal: { readonly error: unknown } | undefined;
    await ran((p) => {
      p.task("fuzzed", async (context: Any) => {
        try {
          await use(context, ...rest);
        } catch (error) {
          refusal = { error };
        }
      });
    });
    if (refusal !== undefined) throw refusal.error;
  });
}

export const TASK_ENTRIES: readonly Entry[] = [
  ...[
    "input",
    "params",
    "run",
    "task",
    "attempt",
    "signal",
    "resources",
    "idempotencyKey",
    "item",
    "outer",
    "index",
  ].map((member) => inTask(member, {}, (context) => void context[member])),
  inTask("log", { message: fc.oneof(hostileText, hostile), data: hostile }, (context, message, data) => {
    context.log(message, data);
    context.log.warn(message, data);
  }),
  inTask(
    "metric",
    { name: fc.oneof(hostileText, hostile), value: fc.oneof(hostileNumber, hostile) },
    (context, name, value) => context.metric(name, value),
  ),
  inTask(
    "progress",
    { fraction: fc.oneof(hostileNumber, hostile), message: fc.oneof(hostileText, hostile) },
    (context, fraction, message) => context.progress(fraction, message),
  ),
  inTask(
    "artifact",
    {
      artifact: mostly(
        objectOf(
          { contentType: hostile },
          { name: mostly(values("a.txt"), hostile), data: mostly(values("text"), hostile) },
        ),
        hostile,
      ),
    },
    (context, artifact) => context.artifact(artifact),
  ),
  inTask(
    "step",
    { id: mostly(values("a"), fc.oneof(hostileText, hostile)), run: fc.oneof(answering, hostile) },
    (context, id, run) => context.step(id, run),
  ),
  entry("runs: a task returns", { value: hostile }, async (_world, value: Any) =>
    ran((p) => {
      const first = p.task("first", () => value);
      p.task("second", { needs: { first } }, ({ input }: Any) => void input.first);
    }),
  ),
  entry("runs: a task throws", { thrown: hostileError }, async (_world, thrown: Any) =>
    ran(
      (p) =>
        void p.task("first", () => {
          throw thrown;
        }),
    ),
  ),
  entry("runs: a task rejects", { thrown: hostileError }, async (_world, thrown: Any) =>
    ran(
      (p) =>
        void p.task("first", async () => {
          throw thrown;
        }),
    ),
  ),
  entry("runs: a branch chooses", { choice: hostile }, async (_world, choice: Any) =>
    ran((p) => {
      const gate = p.branch("gate", {}, () => choice);
      p.task("a", { after: [gate.when("a")] }, () => 1);
    }),
  ),
  entry("runs: a map's list", { list: hostile }, async (_world, list: Any) =>
    ran((p) => {
      const over = p.task("list", () => list);
      p.map("each", { over, maxItems: 5 }, ({ item }: Any) => item);
    }),
  ),
  entry(
    "runs: functions of options",
    { when: answering, key: answering, cache: answering },
    async (_world, when: Any, key: Any, cache: Any) =>
      ran((p) => {
        p.task("asked", { when }, () => 1);
        p.task("keyed", { concurrency: { key, limit: 1 } }, () => 1);
        p.task("rated", { rateLimit: { key, limit: 1, per: "1s" } }, () => 1);
        p.task("cached", { cache: { key: cache, ttl: "1m" } }, () => 1);
        p.task("retried", { retry: { attempts: 2, delay: 0, when } }, () => {
          throw new Error("own");
        });
      }),
  ),
  entry(
    "runs: what waits is told",
    { duration: answering, moment: answering, check: answering },
    async (_world, duration: Any, moment: Any, check: Any) => {
      // A wait that is long is fine, and nobody waits for it here: it has its timeout.
      const made = pipeline("waits", (p: Any) => {
        p.sleep("for", { for: duration });
        p.sleepUntil("at", { at: moment });
        p.check("check", {}, check);
      });
      const engine = createEngine({
        pipelines: [made],
        log: { debug() {}, info() {}, warn() {}, error() {} },
        abortGrace: 0,
      });
      try {
        const handle = await engine.trigger(made as Any, {});
        await engine.start();
        await new Promise((resolve) => setTimeout(resolve, 2));
        await handle.cancel();
        await handle.result();
      } finally {
        await engine.stop({ grace: 0 });
      }
    },
  ),
];
