import fc from "fast-check";
import {
  cron,
  describePipeline,
  diffPipelines,
  durationMs,
  every,
  fromGraph,
  pipeline,
  type Schedule,
  toDot,
  toMermaid,
} from "weftline";
import { mostly, objectOf, sure, values } from "../cases.js";
import { type Entry, entry } from "../entry.js";
import { hostile, hostileText } from "../hostile.js";
import { answering, anyDuration, anyFunction, anyPipelineOptions, anyText, BUILDER_OPTIONS } from "./options.js";

// biome-ignore lint/suspicious/noExplicitAny: a caller without types is what this is about
type Any = any;

const small = () => pipeline("small", (p) => void p.task("only", () => 1));
const defined = sure("a pipeline", small);
const anyPipeline = mostly(defined, hostile);

/** Defines with one call of a builder's method, and reads all that can be read of what came of it. */
function building(method: string, use: (p: Any, ...args: Any[]) => unknown): Entry {
  const options = BUILDER_OPTIONS[method as keyof typeof BUILDER_OPTIONS];
  return entry(
    `Builder.${method}`,
    { id: anyText, options: mostly(objectOf(options), hostile, 4), run: anyFunction },
    (_world, ...args: Any[]) =>
      read(
        pipeline("built", (p: Any) => {
          p.task("before", () => 1);
          use(p, ...args);
        }),
      ),
  );
}

/** Everything that a definition can be asked for. */
function read(made: Any): void {
  describePipeline(made);
  toMermaid(made);
  toDot(made);
  void made.hash;
  void made.graph;
  void made.taskIds;
}

const graphCase = mostly(
  sure("a graph", () => graphOf(["a", "b"], [["a", "b"]])),
  fc.oneof(
    sure("a graph with odd names", () => graphOf(["__proto__", "a b", ""], [])),
    sure("a graph with a cycle", () =>
      graphOf(
        ["a", "b"],
        [
          ["a", "b"],
          ["b", "a"],
        ],
      ),
    ),
    hostile,
  ),
);

/** The part of a graphology graph that is read. */
function graphOf(nodes: readonly string[], edges: readonly (readonly [string, string])[]) {
  return {
    type: "directed",
    order: nodes.length,
    undirectedSize: 0,
    forEachNode: (each: (node: string, attributes: object) => void) => nodes.forEach((node) => void each(node, {})),
    forEachInNeighbor: (node: string, each: (before: string) => void) =>
      edges.filter(([, to]) => to === node).forEach(([from]) => void each(from)),
  };
}

const scheduleOptions = (names: Parameters<typeof objectOf>[0]) => mostly(objectOf(names), hostile, 4);
const reading = (schedule: Schedule<unknown>) => {
  const next = schedule.next(Date.UTC(2026, 0, 1));
  schedule.latest(0, Date.UTC(2026, 0, 1));
  if (next !== undefined && !Number.isSafeInteger(next)) throw new Error(`a schedule's next instant is ${next}`);
};

export const DEFINITION_ENTRIES: readonly Entry[] = [
  entry(
    "weftline.pipeline",
    {
      id: anyText,
      options: anyPipelineOptions,
      build: mostly(
        sure("a build function", () => (p: Any) => void p.task("a", () => 1)),
        fc.oneof(anyFunction, answering),
      ),
    },
    (_world, id: Any, options: Any, build: Any) => {
      read(pipeline(id, options, build));
    },
  ),
  entry(
    "weftline.pipeline",
    { id: anyText, build: fc.oneof(anyFunction, answering) },
    (_world, id: Any, build: Any) => {
      read(pipeline(id, build));
    },
  ),
  building("task", (p, id, options, run) => p.task(id, options, run)),
  building("map", (p, id, options, run) => p.map(id, options, run)),
  building("branch", (p, id, options, run) => p.branch(id, options, run).when(id)),
  building("group", (p, id, options, run) =>
    p.group(id, options, typeof run === "function" ? (g: Any) => void g.task(id, run) : run),
  ),
  building("run", (p, id, options) => p.run(id, small(), options)),
  entry("Builder.run", { id: anyText, pipeline: hostile }, (_world, id: Any, child: Any) =>
    pipeline("built", (p) => void (p as Any).run(id, child)),
  ),
  building("sleep", (p, id, options) => p.sleep(id, options)),
  building("sleepUntil", (p, id, options) => p.sleepUntil(id, options)),
  building("poll", (p, id, options, run) => p.poll(id, options, run)),
  building("signal", (p, id, options) => p.signal(id, options)),
  building("check", (p, id, options, run) => p.check(id, options, run)),
  entry("Builder.order", { before: hostile, after: hostile }, (_world, before: Any, after: Any) =>
    pipeline("built", (p) => {
      p.task("before", () => 1);
      (p as Any).order(before, after);
    }),
  ),
  entry(
    "weftline.fromGraph",
    {
      id: anyText,
      graph: graphCase,
      tasks: fc.oneof(
        sure("a task for each", () => () => () => 1),
        objectOf({ a: fc.oneof(anyFunction, hostile), b: hostile }),
        answering,
        hostile,
      ),
      options: anyPipelineOptions,
    },
    (_world, id: Any, graph: Any, tasks: Any, options: Any) => read(fromGraph(id, graph, tasks, options)),
  ),
  entry("weftline.durationMs", { duration: anyDuration, where: anyText }, (_world, duration: Any, where: Any) => {
    const ms = durationMs(duration, where);
    if (!(Number.isSafeInteger(ms) && ms >= 0)) throw new Error(`a duration is ${ms}`);
  }),
  entry(
    "weftline.cron",
    {
      expression: mostly(
        values("0 2 * * *", "*/5 * * * * *", "@daily", "0 0 29 2 *"),
        fc.oneof(
          hostileText,
          hostile,
          values(
            "0 0 30 2 *",
            "* * *",
            "60 * * * *",
            "0 0 * * 8",
            "2030-01-01T00:00:00Z",
            `${"1,".repeat(5_000)}1 * * * *`,
          ),
        ),
      ),
      options: scheduleOptions({
        timeZone: mostly(values("UTC", "Europe/Berlin"), fc.oneof(hostileText, hostile)),
        params: anyFunction,
      }),
    },
    (_world, expression: Any, options: Any) => reading(cron(expression, options)),
  ),
  entry(
    "weftline.every",
    { interval: anyDuration, options: scheduleOptions({ params: anyFunction }) },
    (_world, interval: Any, options: Any) => reading(every(interval, options)),
  ),
  entry(
    "weftline.diffPipelines",
    { a: anyPipeline, b: anyPipeline },
    (_world, a: Any, b: Any) => void diffPipelines(a, b),
  ),
  entry("weftline.describePipeline", { pipeline: anyPipeline }, (_world, given: Any) => void describePipeline(given)),
  entry("weftline.toMermaid", { pipeline: anyPipeline }, (_world, given: Any) => void toMermaid(given)),
  entry("weftline.toDot", { pipeline: anyPipeline }, (_world, given: Any) => void toDot(given)),
];
