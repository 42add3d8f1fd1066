import fc from "fast-check";
import { createEngine, EVENT_NAMES, type Pipeline, pipeline } from "weftline";
import { listOf, mostly, objectOf, sure, values } from "../cases.js";
import { type Entry, entry } from "../entry.js";
import { hostile, hostileText } from "../hostile.js";
import type { World } from "../world.js";
import { anyDuration, anyFunction, anyNumber, anySchema, anyTriggerOptions, engineProperties } from "./options.js";

// biome-ignore lint/suspicious/noExplicitAny: a caller without types is what this is about
type Any = any;

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** An engine of one's own, that a call may do anything to. */
async function withEngine(pipelines: readonly Pipeline[], use: (engine: Any) => unknown): Promise<void> {
  const engine = createEngine({ pipelines, log: SILENT, abortGrace: 0 });
  try {
    await use(engine);
  } finally {
    await engine.stop({ grace: 0 });
  }
}

/** Engines whose adapters keep no contract owe nobody anything but a refusal that is a refusal: they are only created. */
const creating = mostly(
  objectOf(engineProperties, { pipelines: values([]), log: sure("a silent log", () => SILENT) }),
  fc.oneof(objectOf(engineProperties), hostile),
  4,
);

const pipelineCase = fc.oneof(
  sure("the engine's pipeline", () => "probe"),
  hostile,
);
const given = (world: World, which: Any) => (which === "probe" ? world.probe : which);

export const ENGINE_ENTRIES: readonly Entry[] = [
  entry("weftline.createEngine", { options: creating }, (_world, options: Any) => void createEngine(options), [
    "pipelines",
    "storage",
    "executors",
    "scheduler",
    "limits",
    "pools",
  ]),
  entry("Engine.start", {}, async () =>
    withEngine([], async (engine) => {
      await engine.start();
      await engine.start();
    }),
  ),
  entry(
    "Engine.stop",
    { options: mostly(objectOf({ grace: anyDuration }), hostile) },
    async (_world, options: Any) =>
      withEngine([], async (engine) => {
        await engine.start();
        await engine.stop(options);
      }),
    ["grace"],
  ),
  entry(
    "Engine.trigger",
    { pipeline: pipelineCase, params: hostile, options: anyTriggerOptions },
    async (world: World, which: Any, params: Any, options: Any) => {
      await (world.engine as Any).trigger(given(world, which), params, options);
    },
    ["key", "tags", "at", "priority", "tx"],
  ),
  entry(
    "Engine.trigger",
    { schema: anySchema, params: hostile },
    async (_world, schema: Any, params: Any) => {
      const made = pipeline(
        "with-params",
        { params: schema },
        (p) => void p.task("a", ({ params: read }) => read),
      ) as Any;
      await withEngine([made], (engine) => engine.trigger(made, params));
    },
    ["params"],
  ),
  entry("Engine.run", { pipeline: pipelineCase, params: hostile }, async (world: World, which: Any, params: Any) => {
    await (world.engine as Any).run(given(world, which), params);
  }),
  entry("Engine.health", {}, async (world: World) => void (await world.engine.health())),
  entry("Engine.id", {}, (world: World) => void world.engine.id),
  entry(
    "Engine.prune",
    { options: mostly(objectOf({}, { olderThan: anyDuration }), hostile) },
    async (world: World, options: Any) => void (await world.engine.prune(options)),
    ["olderThan"],
  ),
  entry(
    "Engine.on",
    { name: mostly(values(...EVENT_NAMES), fc.oneof(hostileText, hostile)), listener: anyFunction },
    async (world: World, name: Any, listener: Any) => {
      const off = world.engine.on(name, listener);
      try {
        await world.engine.run(world.probe, {});
      } finally {
        off();
      }
    },
  ),
  entry(
    "Engine.off",
    { name: mostly(values(...EVENT_NAMES), hostile), listener: anyFunction },
    (world: World, name: Any, listener: Any) => world.engine.off(name, listener),
  ),
  entry("Schedules.list", {}, async (world: World) => void (await world.engine.schedules.list())),
  // A count without an end is asked for apart: it would end with the memory of the process.
  entry(
    "Schedules.next",
    { pipeline: pipelineCase, count: values(0, 1, 3, -1, 0.5, Number.NaN, "x", null, undefined) },
    (world: World, which: Any, count: Any) => void world.engine.schedules.next(given(world, which), count),
  ),
];

const anyIndex = fc.oneof(values([], [0], [1], [-1], [99], [0, 0]), listOf(hostile), hostile);
const RUN_NAMES = ["succeeded", "failed", "waiting"] as const;
const idCase = mostly(values(...RUN_NAMES), fc.oneof(hostileText, hostile), 4);
const taskCase = mostly(values("sum", "doubled", "second", "approval"), fc.oneof(hostileText, hostile));
const page = mostly(objectOf({ limit: anyNumber, cursor: fc.oneof(hostileText, hostile) }), hostile, 4);
const PAGE_WORDS = ["limit", "cursor", "query"];

/** A call about a run, which is named by how it stands or by anything else. */
function ofRun(method: string, args: Entry["args"], call: (runs: Any, id: Any, ...args: Any[]) => unknown): Entry {
  return entry(
    `Runs.${method}`,
    { runId: idCase, ...args },
    async (world: World, which: Any, ...rest: Any[]) => {
      const known = await world.runs();
      const id = RUN_NAMES.includes(which) ? known[which as (typeof RUN_NAMES)[number]] : which;
      await call(world.engine.runs, id, ...rest);
    },
    [...PAGE_WORDS, "options", "from", "tasks"],
  );
}

const listing = (method: string, query: Record<string, fc.Arbitrary<{ name: string; make(): unknown }>>) =>
  ofRun(method, { query: mostly(objectOf(query), hostile, 4), page }, (runs, id, asked, at) =>
    runs[method](id, asked, at),
  );

export const RUN_ENTRIES: readonly Entry[] = [
  entry(
    "Runs.list",
    {
      query: mostly(
        objectOf({
          pipeline: hostile,
          status: fc.oneof(listOf(hostile), hostile),
          key: hostile,
          tag: hostile,
          parent: hostile,
          owner: hostile,
          definition: hostile,
          since: hostile,
          until: hostile,
        }),
        hostile,
        4,
      ),
      page,
    },
    async (world: World, query: Any, at: Any) => void (await world.engine.runs.list(query, at)),
    PAGE_WORDS,
  ),
  ofRun("get", {}, (runs, id) => runs.get(id)),
  listing("tasks", { task: hostile, status: hostile, generation: anyNumber }),
  listing("attempts", { task: hostile, index: anyIndex, generation: anyNumber, status: hostile }),
  listing("logs", { task: hostile, index: anyIndex, attempt: anyNumber, level: hostile }),
  listing("metrics", { task: hostile, name: hostile }),
  listing("artifacts", { task: hostile, name: hostile }),
  listing("steps", { task: hostile, index: anyIndex, generation: anyNumber }),
  listing("assets", { task: hostile, asset: hostile }),
  ofRun("artifact", { name: hostile }, (runs, id, name) => runs.artifact(id, name)),
  ofRun("graph", {}, (runs, id) => runs.graph(id)),
  ofRun(
    "cancel",
    {
      options: mostly(objectOf({ task: taskCase, index: anyIndex, downstream: hostile, reason: hostile }), hostile, 4),
    },
    (runs, id, options) => runs.cancel(id, options),
  ),
  ofRun(
    "remap",
    { options: mostly(objectOf({ tasks: fc.oneof(objectOf({ sum: hostile, nobody: hostile }), hostile) }), hostile) },
    (runs, id, options) => runs.remap(id, options),
  ),
  ofRun("pause", {}, (runs, id) => runs.pause(id)),
  ofRun("unpause", {}, (runs, id) => runs.unpause(id)),
  ofRun("signal", { task: taskCase, payload: hostile }, (runs, id, task, payload) => runs.signal(id, task, payload)),
  entry(
    "Runs.signalKey",
    { key: fc.oneof(hostileText, hostile), payload: hostile },
    async (world: World, key: Any, payload: Any) => void (await world.engine.runs.signalKey(key, payload)),
  ),
  ofRun(
    "rerun",
    {
      options: mostly(
        objectOf(
          { withDownstream: hostile, only: hostile, params: hostile },
          { from: fc.oneof(taskCase, listOf(taskCase)) },
        ),
        hostile,
        4,
      ),
    },
    (runs, id, options) => runs.rerun(id, options),
  ),
  ofRun("resume", {}, (runs, id) => runs.resume(id)),
  ofRun("delete", {}, (runs, id) => runs.delete(id)),
  ofRun("explain", { task: fc.oneof(taskCase, values(undefined)), index: anyIndex }, (runs, id, task, index) =>
    runs.explain(id, task, index),
  ),
];

/** A handle of a run that waits, and so can still be told something. */
function onHandle(method: string, args: Entry["args"], call: (handle: Any, ...args: Any[]) => unknown): Entry {
  return entry(
    `RunHandle.${method}`,
    args,
    async (world: World, ...rest: Any[]) => {
      const handle = await world.engine.trigger(world.waiting as Any, {});
      try {
        await call(handle, ...rest);
      } finally {
        await handle.cancel();
      }
    },
    ["options"],
  );
}

export const HANDLE_ENTRIES: readonly Entry[] = [
  onHandle("id", {}, (handle) => void handle.id),
  onHandle("status", {}, (handle) => handle.status()),
  onHandle("result", {}, async (handle) => {
    await handle.cancel();
    await handle.result();
  }),
  onHandle(
    "cancel",
    { options: mostly(objectOf({ task: taskCase, index: anyIndex, downstream: hostile, reason: hostile }), hostile) },
    (handle, options) => handle.cancel(options),
  ),
  onHandle("signal", { task: taskCase, payload: hostile }, (handle, task, payload) => handle.signal(task, payload)),
  onHandle("events", {}, async (handle) => {
    const events = handle.events();
    await events.return?.();
  }),
];
