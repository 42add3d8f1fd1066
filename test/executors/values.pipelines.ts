import { pipeline } from "weftline";
import { params } from "./task-helpers.js";

/** One of each kind that the codec keeps, and of each kind of nothing. */
export function everyValue(): Readonly<Record<string, unknown>> {
  const sparse = new Array<unknown>(5);
  sparse[1] = undefined;
  sparse[3] = "x";
  const shared = { shared: true };
  return {
    undefined: undefined,
    null: null,
    false: false,
    true: true,
    "empty text": "",
    text: 'quoted " \\ \n, a half \ud800, NUL \0, 🪡 and \u2028',
    zero: 0,
    "minus zero": -0,
    number: 1.5e-300,
    "large number": Number.MAX_SAFE_INTEGER,
    NaN: Number.NaN,
    Infinity: Number.POSITIVE_INFINITY,
    "-Infinity": Number.NEGATIVE_INFINITY,
    bigint: -(2n ** 200n),
    date: new Date(1_234_567_890_123),
    "earliest date": new Date(-8.64e15),
    map: new Map<unknown, unknown>([
      ["a", new Map([[{ k: 1 }, new Set([1, "1", [2]])]])],
      [Number.NaN, undefined],
    ]),
    set: new Set<unknown>([1n, "1", null]),
    regexp: /a\/[b"]\n/giu,
    url: new URL("https://user:pw@example.org:8080/ä?q=ü#hash"),
    error: new Error("as a value", { cause: new Error("why") }),
    buffer: Buffer.from("häh"),
    "empty buffer": Buffer.alloc(0),
    bytes: new Uint8Array([0, 1, 255]),
    "clamped bytes": new Uint8ClampedArray([1]),
    int8: new Int8Array([-1]),
    int16: new Int16Array([-300]),
    uint16: new Uint16Array([65_535]),
    int32: new Int32Array([-1]),
    uint32: new Uint32Array([4_294_967_295]),
    float32: new Float32Array([1.5]),
    float64: new Float64Array([Number.NaN, -0, 1.5, Number.POSITIVE_INFINITY]),
    bigint64: new BigInt64Array([-(2n ** 63n)]),
    biguint64: new BigUint64Array([2n ** 64n - 1n]),
    "empty array": [],
    "empty object": {},
    holes: sparse,
    "undefined inside": { a: undefined, b: [undefined] },
    nested: { a: [{ b: [{ c: [new Date(0), 1n] }] }] },
    twice: [shared, shared],
    __proto__own: JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}') as unknown,
    large: "x".repeat(200_000),
    deep: Array.from({ length: 300 }).reduce<unknown>((inner) => [inner], "bottom"),
  };
}

/** Of a class of its own, which is data for whoever reads it. */
export const errors = pipeline("errors", (p) => {
  class OwnError extends TypeError {
    override readonly name = "OwnError";
  }
  const made = p.task("made", () => new OwnError("as a value", { cause: new RangeError("why") }));
  const read = p.task("read", { needs: { made } }, ({ input }) => {
    const { name, message, cause } = input.made as Error & { cause: Error };
    return [input.made instanceof Error, name, message, cause.name, cause.message];
  });
  return { read };
});

const VALUES = Object.entries(everyValue());

/** Params → output → input → item → output, once around. */
export const around = pipeline("around", { params: params<{ values: unknown }>() }, (p) => {
  const fromParams = p.task("from-params", ({ params }) => params.values);
  const fromInput = p.task("from-input", { needs: { fromParams } }, ({ input }) => input.fromParams);
  const list = p.task(
    "list",
    { needs: { fromInput } },
    ({ input }) => Object.values(input.fromInput as object) as unknown[],
  );
  const items = p.map("items", { over: list }, ({ item }) => [item]);
  const groups = p.group("group", { over: list }, (g) => {
    const own = g.task("own", ({ item }) => item);
    return { own };
  });
  const steps = p.map("steps", { over: list }, async ({ item, step }) => [await step("keep", () => item)]);
  return { fromParams, fromInput, items, groups, steps };
});

export const made = pipeline("made", (p) => {
  const values = VALUES.map(([, value], n) => p.task(`value-${n}`, () => value));
  const logged = p.task("logged", ({ log }) => {
    for (const [name, value] of VALUES) if (name !== "large" && name !== "deep") log(name, value);
  });
  return { ...Object.fromEntries(values.map((value, n) => [`value-${n}`, value])), logged };
});

export const mutating = pipeline("mutating", { params: params<{ list: number[] }>() }, (p) => {
  const source = p.task("source", () => ({ list: [1, 2] }));
  const change = ({ input, params }: { input: { source: { list: number[] } }; params: { list: number[] } }) => {
    input.source.list.push(3);
    params.list.push(3);
    return [input.source.list.length, params.list.length];
  };
  const one = p.task("one", { needs: { source } }, change);
  const two = p.task("two", { needs: { source }, after: [one] }, change);
  return { source, one, two };
});

export const facts = pipeline("facts", (p) => {
  const own = p.task("own", { title: "Own facts", retry: { attempts: 2, delay: 1 } }, (context) => {
    if (context.attempt === 1) throw new Error("again");
    const { run, task, attempt, idempotencyKey, params } = context;
    const { id, pipeline: of, key, tags, instant } = run;
    return {
      run: { id, of, key, tags, instant, createdAt: typeof run.createdAt },
      task,
      attempt,
      idempotencyKey,
      params,
    };
  });
  const keys = p.map("keys", { over: [0, 1], retry: { attempts: 3, delay: 1 } }, ({ idempotencyKey, attempt, log }) => {
    log(idempotencyKey);
    if (attempt < 3) throw new Error("again");
    return idempotencyKey;
  });
  const grouped = p.group("grouped", { over: ["a", "b"] }, (g) => {
    const key = g.task("key", ({ idempotencyKey }) => idempotencyKey);
    return { key };
  });
  return { own, keys, grouped };
});

export const speaking = pipeline("speaking", (p) => {
  p.task("speaks", async ({ log, metric, progress, artifact }) => {
    log("plain");
    log.debug("debug", { n: 1 });
    log.info("info", [1n]);
    log.warn("warn", new Map([[1, 2]]));
    log.error("error", new Date(0));
    log("a line\nand another 🪡");
    metric("rows", 3);
    metric("rows", 4);
    metric("odd", Number.NaN);
    metric("much", Number.POSITIVE_INFINITY);
    progress(0.25, "a quarter");
    await Promise.resolve();
    progress(1);
    artifact({ name: "text.txt", data: "two\nlines 🪡" });
    artifact({ name: "bytes", contentType: "image/png", data: Uint8Array.from({ length: 256 }, (_, n) => n) });
    artifact({ name: "part", data: new Uint8Array([0, 1, 2, 3, 4]).subarray(1, 3) });
    artifact({ name: "large", data: new Uint8Array(3_000_000).fill(7) });
    artifact({ name: "text.txt", data: "replaced" });
    artifact({ name: "empty", data: "" });
  });
});

export const misspeaking = pipeline("misspeaking", (p) => {
  const wrong: Readonly<
    Record<string, (context: { log: never; metric: never; progress: never; artifact: never }) => void>
  > = {
    metric: ({ metric }) => (metric as (...args: unknown[]) => void)("rows", "many"),
    progress: ({ progress }) => (progress as (...args: unknown[]) => void)(Number.NaN),
    artifact: ({ artifact }) => (artifact as (...args: unknown[]) => void)({ name: "x", data: 5 }),
    "log-data": ({ log }) => (log as (...args: unknown[]) => void)("with a function", { f: () => 1 }),
    "log-number": ({ log }) => (log as (...args: unknown[]) => void)(5),
  };
  for (const [id, speak] of Object.entries(wrong)) {
    p.task(id, { allowFailure: true }, (context) => {
      speak(context as never);
      return "went on";
    });
  }
});

export const chatty = pipeline("chatty", (p) => {
  const talks = p.task("talks", ({ log }) => {
    for (let n = 0; n < 3_000; n++) log(`line ${n}`);
    return "done";
  });
  return { talks };
});

export const largeOutput = pipeline("large-output", (p) => {
  const rows = p.task("rows", () =>
    Array.from({ length: 20_000 }, (_, n) => ({ n, name: `row ${n}`, at: new Date(n) })),
  );
  const count = p.task("count", { needs: { rows } }, ({ input }) => [input.rows.length, input.rows.at(-1)]);
  return { count };
});
