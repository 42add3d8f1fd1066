import { Readable } from "node:stream";
import * as v from "valibot";
import { describe, expect, it } from "vitest";
import { pipeline } from "../define/pipeline.js";
import { SkipTask } from "../execute/signals.js";
import { RecordingLogger, startedEngine } from "../test-support/engines.js";
import { FaultyStorage } from "../test-support/faulty-storage.js";
import { gate } from "../test-support/gates.js";
import { settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { testStorage } from "../test-support/storages.js";
import { encode } from "../values/codec.js";
import type { Engine } from "./engine.js";
import type { EngineOptions } from "./engine-options.js";

leavesNothingBehind();

/** What no text column takes. */
const UNSTORABLE = /[\0\p{Surrogate}]/u;

/** Lets one task return `value`, and gives what a dependent and the run's result make of it. */
async function passOn(value: () => unknown, options: Partial<EngineOptions> = {}) {
  const work = pipeline("work", (p) => {
    const source = p.task("source", value);
    return { value: p.task("reads", { needs: { source } }, ({ input }) => input.source), source };
  });
  const engine = await startedEngine({ pipelines: [work], ...options });
  const run = await engine.trigger(work);
  return { engine, run, result: run.result() };
}

/** The error of the one task that fails. */
async function errorOf(run: () => unknown, options: Partial<EngineOptions> = {}) {
  const work = pipeline("work", (p) => void p.task("fails", { retry: { attempts: 3, delay: 0 } }, run));
  const engine = await startedEngine({ pipelines: [work], ...options });
  const handle = await engine.trigger(work);
  const failure: unknown = await handle.result().catch((error: unknown) => error);
  const { error, attempts } = (
    failure as { failures: { error: { message: string; code?: string }; attempts: number }[] }
  ).failures[0]!;
  return { ...error, attempts, engine, runId: handle.id };
}

describe("outputs", () => {
  it.each<[string, unknown]>([
    ["F66 BigInt", 2n ** 70n],
    ["F66 NaN", Number.NaN],
    ["F66 -0", -0],
    ["F66 infinities", [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]],
    ["F66 undefined in arrays and properties", { list: [undefined, 1], missing: undefined }],
    ["F66 a sparse array", Object.assign(new Array(4), { 1: "x" })],
    ["F67 a Map", new Map<unknown, unknown>([["a", new Map([[1, 2]])]])],
    ["F67 a Set", new Set([1, "1", null])],
    ["F67 a RegExp", /a+/giu],
    ["F67 a Buffer", Buffer.from([0, 255, 1])],
    ["F67 a typed array", new Float64Array([1.5, Number.NaN])],
    ["F67 a URL", new URL("https://example.com/a?b=c#d")],
    ["F67 a Date", new Date(Date.UTC(2024, 1, 29))],
    ["F80 null", null],
    ["F80 the empty text", ""],
    ["F80 false", false],
    ["F80 0", 0],
    ["undefined", undefined],
    [
      "F85 what looks like an envelope",
      { $type: "Date", value: 1, __proto__: null, j1: "j1:", "d1:": [["Date", "x"]] },
    ],
    ["F85 text that looks encoded", ['j1:{"a":1}', "u1:", "d1:[]"]],
    ["F75 emoji", "😀 and 👩‍👩‍👧"],
    ["a lone half and NUL", "a\ud800b\0c"],
  ])("pass through storage as they are: %s", async (_what, value) => {
    const { result } = await passOn(() => value);
    expect(await result).toEqual({ value, source: value });
    expect(Object.is((await result).value, -0)).toBe(Object.is(value, -0));
  });

  it.each<[string, () => unknown, string, RegExp]>([
    ["F66 a symbol key's value", () => ({ a: Symbol("s") }), "OUTPUT_NOT_SERIALIZABLE", /\$\.a/],
    ["F69 a cycle", () => cyclic(), "OUTPUT_NOT_SERIALIZABLE", /\$\.a\.b/],
    ["F70 a function", () => ({ a: [() => 1] }), "OUTPUT_NOT_SERIALIZABLE", /\$\.a\[0\]/],
    ["F70 a promise inside", () => ({ a: Promise.resolve(1) }), "OUTPUT_NOT_SERIALIZABLE", /\$\.a.*await/],
    ["F70 a stream", () => Readable.from([]), "OUTPUT_NOT_SERIALIZABLE", /\$/],
    ["a class instance", () => new (class Money {})(), "OUTPUT_NOT_SERIALIZABLE", /Money/],
    ["F71 20,000 levels", () => nested(20_000), "OUTPUT_NOT_SERIALIZABLE", /500 levels/],
    ["F73 20 MB", () => "x".repeat(20_000_000), "OUTPUT_TOO_LARGE", /16777216/],
    [
      "F72 more than a text can hold",
      () => Array.from({ length: 40 }, () => "x".repeat(2 ** 24)),
      "OUTPUT_TOO_LARGE",
      /./,
    ],
  ])("refused fail their task at once, without another attempt: %s", async (_what, value, code, message) => {
    const error = await errorOf(value);
    expect(error).toMatchObject({ code, attempts: 1 });
    expect(error.message).toMatch(message);
  });

  it("F68 call toJSON at most once, and a throwing one fails the task", async () => {
    const error = await errorOf(() => ({
      toJSON() {
        throw new Error("toJSON is broken");
      },
    }));
    expect(error).toMatchObject({ code: "OUTPUT_NOT_SERIALIZABLE", attempts: 1 });
  });

  it("follow the engine's limits", async () => {
    const limits = { maxValueBytes: 100, maxValueDepth: 3 };
    expect(await errorOf(() => "x".repeat(101), { limits })).toMatchObject({ code: "OUTPUT_TOO_LARGE" });
    expect(await errorOf(() => nested(4), { limits })).toMatchObject({ code: "OUTPUT_NOT_SERIALIZABLE" });
    const deep = nested(700);
    const { result } = await passOn(() => deep, { limits: { maxValueDepth: 1_000 } });
    expect((await result).value).toEqual(deep);
  });

  it("are what they were when the function returned, and every reader has its own copy", async () => {
    const kept = { list: [1], at: new Date(0) };
    const go = gate();
    const seen: unknown[] = [];
    const work = pipeline("work", (p) => {
      const source = p.task("source", () => {
        queueMicrotask(() => kept.list.push(2));
        return kept;
      });
      const first = p.task("first", { needs: { source } }, async ({ input }) => {
        input.source.list.push(99);
        input.source.at.setFullYear(1);
        await go.passed;
      });
      p.task("second", { needs: { source }, after: [first] }, ({ input }) => void seen.push(input.source));
      return { source };
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    kept.list.push(3);
    go.open();
    const result = await run.result();
    const expected = { list: [1], at: new Date(0) };
    expect(seen).toEqual([expected]);
    expect(result.source).toEqual(expected);
    result.source.list.push(4);
    expect((await run.result()).source).toEqual(expected);
    const [record] = (await engine.runs.tasks(run.id, { task: "source" })).items;
    expect(record?.output).toEqual(expected);
  });

  it("F34 of one attempt are read afresh within it, too: params and input are nobody's but its own", async () => {
    const given = { tags: ["a"], at: new Date(5) };
    const seen: unknown[] = [];
    const any = v.object({ value: v.any() });
    const work = pipeline("work", { params: any }, (p) => {
      const first = p.task("first", ({ params }) => {
        (params.value as typeof given).tags.push("changed");
        return 1;
      });
      p.task("second", { after: [first] }, ({ params }) => void seen.push(params.value));
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work, { value: given });
    given.tags.push("later");
    await run.result();
    expect(seen).toEqual([{ tags: ["a"], at: new Date(5) }]);
    expect((await engine.runs.get(run.id)).params).toEqual({ value: { tags: ["a"], at: new Date(5) } });
  });

  it("F34 the run's facts cannot be changed from outside or from a task", async () => {
    const tags = ["a"];
    const work = pipeline("work", (p) => {
      p.task("meddles", ({ run }) => {
        const changes = [() => (run.tags as string[]).push("b"), () => Object.assign(run, { id: "changed" })];
        for (const change of changes) expect(change).toThrow(TypeError);
        return Object.keys(run).toSorted();
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work, {}, { tags });
    tags.push("c");
    await run.result();
    expect((await engine.runs.get(run.id)).tags).toEqual(["a"]);
    const [record] = (await engine.runs.tasks(run.id)).items;
    expect(record?.output).toEqual(["createdAt", "id", "instant", "key", "pipeline", "tags"]);
  });

  it("F83 F84 of older versions are read, unknown ones fail their reader and nothing else", async () => {
    const storage = testStorage();
    const faulty = new FaultyStorage(storage);
    const stored = { old: encode(new Date(0), "output"), future: "z9:{}", code: 'd1:[["Function","evil()"]]' };
    faulty.on("commit", async (proceed, flush) => {
      for (const { tasks } of flush.runs) {
        for (const record of tasks) {
          const planted = stored[record.task as keyof typeof stored];
          if (record.status === "succeeded" && planted) Object.assign(record, { output: planted });
        }
      }
      return proceed();
    });
    let isFirst = true;
    const work = pipeline("work", (p) => {
      const old = p.task("old", () => 1);
      const future = p.task("future", () => 1);
      const code = p.task("code", () => 1);
      p.task("waits", { after: [old, future, code] }, () => {
        if (isFirst) throw new Error("first engine");
      });
      p.task("reads-old", { needs: { old }, after: [] }, ({ input }) => void input.old);
      p.task("reads-future", { needs: { future }, allowFailure: true }, ({ input }) => {
        if (isFirst) throw new Error("first engine");
        return input.future;
      });
      p.task("reads-code", { needs: { code }, allowFailure: true }, ({ input }) => {
        if (isFirst) throw new Error("first engine");
        return input.code;
      });
    });
    const first = await startedEngine({ pipelines: [work], storage: faulty.storage });
    const run = await first.trigger(work);
    await run.result().catch(() => undefined);
    await first.stop();
    isFirst = false;
    const second = await startedEngine({ pipelines: [work], storage });
    await (await second.runs.resume(run.id)).result();
    const statuses = (await second.runs.tasks(run.id, { status: ["failed"] }).catch(() => ({ items: [] }))).items;
    expect(statuses.map(({ task, error }) => [task, error?.code])).toEqual([
      ["reads-future", "VALUE_UNREADABLE"],
      ["reads-code", "VALUE_UNREADABLE"],
    ]);
  });
});

describe("F76 texts", () => {
  const bad = "\0 and \ud83d";

  it("of logs, metrics, artifacts, errors and reasons are made storable", async () => {
    const faulty = new FaultyStorage();
    const work = pipeline("work", (p) => {
      p.task("talks", ({ log, metric, artifact }) => {
        log(bad, { bad });
        metric(bad, 1);
        artifact({ name: `name ${bad}`, contentType: bad, data: bad });
      });
      p.task("fails", { allowFailure: true }, () => {
        throw Object.assign(new Error(bad), { name: bad, code: bad });
      });
      p.task("skips", () => {
        throw new SkipTask(bad);
      });
      const gate = p.branch("gate", {}, () => bad);
      p.task("path", { after: [gate.when("other" as typeof bad)] }, () => 1);
      p.task(
        "waits",
        ({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error(bad)))),
      );
    });
    const engine = await startedEngine({ pipelines: [work], storage: faulty.storage });
    const run = await engine.trigger(work);
    await settled();
    await run.cancel({ reason: bad });
    await run.result().catch(() => undefined);
    const texts: string[] = [];
    const collect = (value: unknown): void => {
      if (typeof value === "string") texts.push(value);
      else if (typeof value === "object" && value !== null && !(value instanceof Uint8Array)) {
        Object.values(value).forEach(collect);
      }
    };
    faulty.flushes.forEach(collect);
    expect(texts.length).toBeGreaterThan(50);
    expect(texts.filter((text) => UNSTORABLE.test(text))).toEqual([]);
    const { items } = await engine.runs.tasks(run.id);
    expect(items.map(({ task, status }) => `${task} ${status}`)).toEqual([
      "talks succeeded",
      "fails failed",
      "skips skipped",
      "gate succeeded",
      "path skipped",
      "waits cancelled",
    ]);
    // The messages that wait in a run's inbox are stored too.
    const sent: unknown[] = [];
    faulty.on("send", async (proceed, messages) => {
      sent.push(...messages);
      return proceed();
    });
    const other = await engine.trigger(work);
    await settled();
    await other.cancel({ reason: bad });
    await other.result().catch(() => undefined);
    expect(sent).toHaveLength(1);
    expect((sent[0] as { reason: string }).reason).not.toMatch(UNSTORABLE);
  });

  it("of any length are bounded, without a split emoji (F74)", async () => {
    const long = "😀".repeat(500_000);
    const work = pipeline("work", (p) => {
      p.task("talks", ({ log, metric }) => {
        log(`x${long}`);
        metric(`x${long}`, 1);
      });
      p.task("skips", () => {
        throw new SkipTask(`x${long}`);
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result();
    const [line] = (await engine.runs.logs(run.id)).items;
    const [metric] = (await engine.runs.metrics(run.id)).items;
    const skipped = (await engine.runs.tasks(run.id, { task: "skips" })).items[0]!;
    for (const text of [line!.message, metric!.name, skipped.reason!]) {
      expect(text.length).toBeLessThanOrEqual(16_384);
      expect(text.isWellFormed()).toBe(true);
    }
    await expect(engine.runs.cancel(run.id, { reason: long })).resolves.toBe(false);
  });

  it.each<[string, object]>([
    ["a key with NUL", { key: "a\0b" }],
    ["a key with a lone half", { key: "a\ud800" }],
    ["an empty key", { key: "" }],
    ["a key of 501 characters", { key: "x".repeat(501) }],
    ["a key that is no text", { key: 5 }],
    ["a tag with NUL", { tags: ["\0"] }],
    ["an empty tag", { tags: [""] }],
    ["51 tags", { tags: Array.from({ length: 51 }, (_, n) => `t${n}`) }],
    ["tags that are no list", { tags: "tag" }],
    ["F108 an invalid date", { at: new Date(Number.NaN) }],
    ["F108 an infinite moment", { at: Number.POSITIVE_INFINITY }],
  ])("in trigger options are refused before any row is written: %s", async (_what, options) => {
    const work = pipeline("work", (p) => void p.task("only", () => 1));
    const engine = await startedEngine({ pipelines: [work] });
    await expect(engine.trigger(work, {}, options)).rejects.toMatchObject({ code: "QUERY_INVALID" });
    expect((await engine.runs.list()).items).toEqual([]);
  });

  it("F82 with emoji, RTL and separators are fine as keys and tags", async () => {
    const work = pipeline("work", (p) => ({ run: p.task("run", ({ run }) => [run.key, ...run.tags]) }));
    const engine = await startedEngine({ pipelines: [work] });
    const key = "😀 שלום a:b/c%d ";
    const run = await engine.trigger(work, {}, { key, tags: [key, "x"] });
    expect(await run.result()).toEqual({ run: [key, key, "x"] });
    expect((await engine.runs.list({ key })).items).toHaveLength(1);
  });
});

describe("logging", () => {
  it("never fails a task, whatever is logged", async () => {
    const work = pipeline("work", (p) => {
      p.task("talks", ({ log }) => {
        log(Symbol("s") as unknown as string);
        log(Object.create(null) as string);
        log(undefined as unknown as string);
        log("data", () => 1);
        log("cycle", cyclic());
        log("plain", { a: 1n });
        log.debug("d");
        log.info("i");
        log.warn("w");
        log.error("e");
        return "done";
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result();
    const lines = (await engine.runs.logs(run.id)).items;
    expect(lines).toHaveLength(10);
    expect(lines[5]).toMatchObject({ level: "info", message: "plain", data: { a: 1n } });
    expect(lines[3]).toMatchObject({ data: { notKept: expect.stringContaining("function") as string } });
    expect(lines.slice(6).map(({ level }) => level)).toEqual(["debug", "info", "warn", "error"]);
  });

  it("refuses metrics that are no numbers, and keeps NaN and infinities", async () => {
    const work = pipeline("work", (p) => {
      p.task("measures", ({ metric }) => {
        metric("nan", Number.NaN);
        metric("infinite", Number.POSITIVE_INFINITY);
        metric("wrong", "5" as unknown as number);
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await expect(run.result()).rejects.toThrow(TypeError.name);
    const { items } = await engine.runs.metrics(run.id);
    expect(items.map(({ name, value }) => [name, value])).toEqual([
      ["nan", Number.NaN],
      ["infinite", Number.POSITIVE_INFINITY],
    ]);
  });

  it.each<[string, object]>([
    ["no name", { data: "x" }],
    ["an empty name", { name: "", data: "x" }],
    ["a long name", { name: "x".repeat(201), data: "x" }],
    ["data of another kind", { name: "a", data: { x: 1 } }],
    ["too much data", { name: "a", data: "x".repeat(2_000) }],
    ["a name that is no text", { name: 5n, data: "x" }],
  ])("refuses an artifact with %s", async (_what, artifact) => {
    const work = pipeline("work", (p) => void p.task("makes", (context) => context.artifact(artifact as never)));
    const engine = await startedEngine({ pipelines: [work], limits: { maxValueBytes: 1_000 } });
    await expect(engine.run(work)).rejects.toMatchObject({ failures: [{ error: { code: "ARTIFACT_INVALID" } }] });
  });

  it("takes a snapshot of an artifact's bytes", async () => {
    const bytes = new Uint8Array([1, 2, 3]);
    const work = pipeline("work", (p) => {
      p.task("makes", ({ artifact }) => {
        artifact({ name: "bytes", data: bytes });
        bytes.fill(9);
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result();
    expect([...(await engine.runs.artifact(run.id, "bytes"))!.data]).toEqual([1, 2, 3]);
  });
});

describe("F77 F78 idempotency keys", () => {
  const work = pipeline("work", { params: v.looseObject({}) }, (p) => ({ run: p.task("run", ({ run }) => run.id) }));
  const at = new Date(5);
  const params = { b: [1, { d: at, c: new Map([["k", 1]]) }], a: 1 };
  const sameInAnotherOrder = { a: 1, b: [1, { c: new Map([["k", 1]]), d: new Date(5) }] };

  it("give the same run for the same params, in whatever order their keys come", async () => {
    const engine = await startedEngine({ pipelines: [work] });
    const first = await engine.trigger(work, params, { key: "k" });
    const second = await engine.trigger(work, sameInAnotherOrder, { key: "k" });
    expect(second.id).toBe(first.id);
    expect(await second.result()).toEqual({ run: first.id });
    expect((await engine.trigger(work, params, { key: "k" })).id).toBe(first.id);
    expect((await engine.runs.list()).items).toHaveLength(1);
  });

  it.each<[string, object]>([
    ["another number", { ...params, a: 2 }],
    ["another type", { ...params, a: "1" }],
    ["another date", { ...params, b: [1, { d: new Date(6), c: new Map([["k", 1]]) }] }],
    ["another map", { ...params, b: [1, { d: at, c: new Map([["k", 2]]) }] }],
    ["another order of a list", { ...params, b: [{ d: at, c: new Map([["k", 1]]) }, 1] }],
  ])("refuse %s with IDEMPOTENCY_CONFLICT, naming key and run", async (_what, other) => {
    const engine = await startedEngine({ pipelines: [work] });
    const first = await engine.trigger(work, params, { key: "k" });
    const refused = engine.trigger(work, { ...other }, { key: "k" });
    await expect(refused).rejects.toMatchObject({ code: "IDEMPOTENCY_CONFLICT" });
    await expect(refused).rejects.toThrow(new RegExp(`"k".*${first.id}`));
    expect((await engine.runs.list()).items).toHaveLength(1);
  });

  it("give one run to many who ask at the same moment", async () => {
    const engine = await startedEngine({ pipelines: [work] });
    const asked = await Promise.all(Array.from({ length: 50 }, () => engine.trigger(work, params, { key: "k" })));
    expect(new Set(asked.map(({ id }) => id)).size).toBe(1);
    const results = await Promise.all(asked.map((run) => run.result()));
    expect(new Set(results.map(({ run }) => run)).size).toBe(1);
    expect((await engine.runs.attempts(asked[0]!.id)).items).toHaveLength(1);
  });

  it("of different pipelines do not meet, nor do runs without a key", async () => {
    const other = pipeline("other", (p) => void p.task("only", () => 1));
    const engine = await startedEngine({ pipelines: [work, other] });
    const runs = await Promise.all([
      engine.trigger(work, {}, { key: "k" }),
      engine.trigger(other, {}, { key: "k" }),
      engine.trigger(work),
      engine.trigger(work),
    ]);
    expect(new Set(runs.map(({ id }) => id)).size).toBe(4);
  });
});

describe("whatever a task throws is recorded, bounded", () => {
  const throwing = (value: unknown) => () => {
    throw value;
  };
  const hostile = {
    get message(): string {
      throw new Error("no message for you");
    },
    get name(): string {
      throw new Error("no name for you");
    },
  };
  const revoked = () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  };

  it.each<[string, () => unknown, RegExp]>([
    ["undefined", () => undefined, /undefined/],
    ["null", () => null, /null/],
    ["a text", () => "plain text", /plain text/],
    ["a number", () => 5, /5/],
    ["a symbol", () => Symbol("sym"), /sym/],
    ["a frozen object", () => Object.freeze({ message: "frozen" }), /frozen/],
    ["throwing getters", () => hostile, /./],
    ["an error with throwing getters", () => Object.defineProperty(new Error("x"), "name", { get: throwing(1) }), /x/],
    ["a revoked proxy", revoked, /./],
    ["a revoked proxy as cause", () => new Error("outer", { cause: revoked() }), /outer/],
    [
      "a proxy whose traps throw",
      () => new Proxy(new Error("x"), { get: throwing(1), getPrototypeOf: throwing(2) as () => null }),
      /./,
    ],
    ["a function", () => throwing, /./],
    [
      "a cycle of causes",
      () => {
        const error = new Error("round");
        error.cause = error;
        return error;
      },
      /round/,
    ],
    ["an AggregateError", () => new AggregateError([new Error("one"), 2], "both"), /both/],
    ["a DOMException", () => new DOMException("not now", "AbortError"), /not now/],
  ])("%s", async (_what, make, message) => {
    const error = await errorOf(throwing(make()));
    expect(error.attempts).toBe(3);
    expect(error.message).toMatch(message);
    const sync = await errorOf(async () => {
      await Promise.resolve();
      throw make();
    });
    expect(sync.message).toMatch(message);
  });

  it("a message of 20 MB", async () => {
    const error = await errorOf(() => {
      throw new Error("x".repeat(20_000_000));
    });
    expect(error.message.length).toBeLessThanOrEqual(8_192);
    const record = (await error.engine.runs.tasks(error.runId)).items[0]!;
    expect(JSON.stringify(record).length).toBeLessThan(600_000);
  });

  it("a when-condition or a branch that throws", async () => {
    const work = pipeline("work", (p) => {
      p.task(
        "conditional",
        { when: throwing(new Error("condition broke")) as () => boolean, allowFailure: true },
        () => 1,
      );
      p.branch("gate", { allowFailure: true }, throwing(new Error("branch broke")) as () => string);
      p.branch("wrong", { allowFailure: true, retry: { attempts: 3 } }, (() => 5) as unknown as () => string);
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result();
    const errors = (await engine.runs.tasks(run.id)).items.map(({ error, attempts }) => [
      error?.code ?? error?.message,
      attempts,
    ]);
    expect(errors).toEqual([
      ["condition broke", 1],
      ["branch broke", 1],
      ["BRANCH_INVALID", 1],
    ]);
  });
});

describe("F207 a forgotten await", () => {
  it("lets the task succeed early; what the floating work does with the context later has no effect", async () => {
    const log = new RecordingLogger();
    const later = gate();
    const done = gate();
    const work = pipeline("work", (p) => ({
      value: p.task("value", ({ log: say, metric, artifact, progress, signal }) => {
        void (async () => {
          await later.passed;
          say("too late");
          metric("late", 1);
          artifact({ name: "late", data: "x" });
          progress(1);
          done.open();
        })();
        return signal.aborted ? "aborted" : "early";
      }),
    }));
    const engine = await startedEngine({ pipelines: [work], log });
    const heard: string[] = [];
    engine.on("task:progress", ({ task }) => heard.push(task));
    engine.on("task:log", ({ task }) => heard.push(task));
    const run = await engine.trigger(work);
    expect(await run.result()).toEqual({ value: "early" });
    later.open();
    await done.passed;
    await settled();
    expect((await engine.runs.logs(run.id)).items).toEqual([]);
    expect((await engine.runs.metrics(run.id)).items).toEqual([]);
    expect((await engine.runs.artifacts(run.id)).items).toEqual([]);
    expect(heard).toEqual([]);
    expect(log.complaints.length).toBeGreaterThanOrEqual(1);
  });
});

describe("the context", () => {
  it("says who the task is and for which run it works", async () => {
    const work = pipeline("work", (p) => {
      p.task("only", { title: "The only one" }, ({ task, run, attempt, idempotencyKey, resources }) => ({
        task,
        id: run.id,
        pipeline: run.pipeline,
        attempt,
        idempotencyKey,
        resources,
      }));
      return {};
    });
    const db = { url: "here" };
    const engine: Engine = await startedEngine({ pipelines: [work], resources: { db } as never });
    const run = await engine.trigger(work);
    await run.result();
    const [record] = (await engine.runs.tasks(run.id)).items;
    expect(record?.output).toEqual({
      task: { id: "only", title: "The only one" },
      id: run.id,
      pipeline: "work",
      attempt: 1,
      idempotencyKey: `${run.id}/only`,
      resources: { db },
    });
  });
});

function cyclic(): object {
  const b: Record<string, unknown> = {};
  const a = { b };
  Object.assign(b, { a });
  return { a };
}

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = { a: value };
  return value;
}
