import { describe, expect, it } from "vitest";
import type { TaskJob, TaskPort } from "../contracts/executor.js";
import type { TaskDefinition } from "../define/definition.js";
import { pipeline } from "../define/pipeline.js";
import { DEFAULT_VALUE_LIMITS, encode } from "../values/codec.js";
import { ExecutionContext } from "./context.js";
import type { AttemptEnvironment } from "./run-attempt.js";

const encoded = (value: unknown) => encode(value, "output");

const definition: TaskDefinition = pipeline("work", (p) => {
  p.task("only", { title: "Only" }, () => 1);
}).plan.tasks[0]!;

const environment: AttemptEnvironment = { resources: { db: 1 }, limits: DEFAULT_VALUE_LIMITS, now: () => 0 };

function contextOf(job: Partial<TaskJob> = {}) {
  const said: unknown[] = [];
  const port: TaskPort = {
    signal: new AbortController().signal,
    started: () => {},
    whenAborted: () => {},
    log: (...line) => void said.push(["log", ...line]),
    metric: (...metric) => void said.push(["metric", ...metric]),
    progress: (...progress) => void said.push(["progress", ...progress]),
    artifact: (artifact) => void said.push(["artifact", artifact]),
    findStep: async () => undefined,
    keepStep: async () => undefined,
    findCached: async () => undefined,
  };
  const whole: TaskJob = {
    runId: "r",
    pipeline: "work",
    definition: "work@1",
    task: "only",
    position: 0,
    index: [],
    generation: 1,
    attempt: 2,
    params: encoded({ day: new Date(0) }),
    input: {},
    items: [],
    run: { id: "r", pipeline: "work", createdAt: 5, key: undefined, tags: [], instant: undefined },
    graceMs: 0,
    ...job,
  };
  const context = new ExecutionContext({ job: whole, port, task: definition, environment, measured: undefined });
  return { context, said, port };
}

describe("ExecutionContext", () => {
  it("decodes what it is asked for, once, and nothing else", () => {
    const { context } = contextOf({
      input: { a: encoded([1]), broken: "z9:" },
      items: [encoded({ deep: 1n })],
      params: "z9:",
    });
    expect(context.item).toEqual({ deep: 1n });
    expect(context.item).toBe(context.item);
    expect(() => context.params).toThrow("VALUE_UNREADABLE");
    expect(() => context.input).toThrow("VALUE_UNREADABLE");
    const { context: sound } = contextOf({ input: { a: encoded([1]) } });
    expect(sound.input).toEqual({ a: [1] });
    expect(sound.input).toBe(sound.input);
    expect(sound.params).toEqual({ day: new Date(0) });
  });

  it("tells inputs that are undefined from those that do not exist", () => {
    const { context } = contextOf({ input: { there: encoded(undefined) } });
    expect(Object.keys(context.input as object)).toEqual(["there"]);
  });

  it("gives an input the name __proto__ without touching the prototype", () => {
    const input = Object.defineProperty({}, "__proto__", { value: encoded({ polluted: true }), enumerable: true });
    const { context } = contextOf({ input: input as Record<string, string> });
    expect(Object.getPrototypeOf(context.input)).toBe(Object.prototype);
    expect((context.input as { polluted?: boolean }).polluted).toBeUndefined();
    expect(Object.keys(context.input as object)).toEqual(["__proto__"]);
  });

  it("tells the facts of the attempt", () => {
    const { context, port } = contextOf({ index: [3, 7] });
    expect(context.attempt).toBe(2);
    expect(context.index).toBe(7);
    expect(context.idempotencyKey).toBe("r/only/3/7");
    expect(context.task).toEqual({ id: "only", title: "Only" });
    expect(context.run.id).toBe("r");
    expect(context.signal).toBe(port.signal);
    expect(context.resources).toEqual({ db: 1 });
    expect(contextOf().context.idempotencyKey).toBe("r/only");
    expect(contextOf().context.index).toBe(0);
  });

  it("works when its members are taken out of it", () => {
    const { context, said } = contextOf();
    const { log, metric, progress, artifact } = context;
    log("plain", 1);
    log.error("bad");
    metric("m", 1);
    progress(0.5, "half");
    artifact({ name: "a", data: "x" });
    expect(said).toEqual([
      ["log", "info", "plain", 1],
      ["log", "error", "bad", undefined],
      ["metric", "m", 1],
      ["progress", 0.5, "half"],
      ["artifact", { name: "a", data: "x" }],
    ]);
  });

  it.each([
    [0.25, 0.25],
    [-1, 0],
    [7, 1],
    [Number.NaN, 0],
    [Number.POSITIVE_INFINITY, 1],
    ["0.5", 0.5],
    [undefined, 0],
  ])("bounds a progress of %s to %s", (fraction, expected) => {
    const { context, said } = contextOf();
    context.progress(fraction as number);
    expect(said).toEqual([["progress", expected, undefined]]);
  });

  it.each([
    ["m", "1"],
    ["m", undefined],
    [5, 1],
    ["m", 1n],
  ])("refuses metric(%s, %s)", (name, value) => {
    const { context, said } = contextOf();
    expect(() => context.metric(name as string, value as number)).toThrow(TypeError);
    expect(said).toEqual([]);
  });
});
