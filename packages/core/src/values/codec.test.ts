import { Readable } from "node:stream";
import { isDeepStrictEqual } from "node:util";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WeftlineError } from "../errors.js";
import { DEFAULT_VALUE_LIMITS, decode, encode, encodeList, type ValueKind, type ValueLimits } from "./codec.js";

/** What no text column takes. */
const UNSTORABLE = /[\0\p{Surrogate}]/u;

const NO_LIMITS: ValueLimits = { maxBytes: Infinity, maxDepth: Infinity };

const roundTrip = (value: unknown) => decode(encode(value, "output"));

function refusal(value: unknown, kind: ValueKind = "output", limits?: ValueLimits): WeftlineError {
  try {
    encode(value, kind, limits);
  } catch (error) {
    if (error instanceof WeftlineError) return error;
    throw error;
  }
  throw new Error("was not refused");
}

function nested(levels: number, leaf: unknown = 1): unknown {
  let value = leaf;
  for (let level = 0; level < levels; level += 1) value = { a: value };
  return value;
}

/** Two to the power of `levels` leaves, made of `levels` objects. */
function unfolding(levels: number, leaf: unknown): unknown {
  let value = leaf;
  for (let level = 0; level < levels; level += 1) value = [value, value];
  return value;
}

function sparse(length: number, elements: Record<number, unknown>): unknown[] {
  return Object.assign(new Array(length), elements);
}

const throwing = (): never => {
  throw new TypeError("boom");
};

/** Gives `target` a property that throws when it is read. */
function withThrowing(target: object, key: string, thrown: unknown): object {
  const get = () => {
    throw thrown;
  };
  return Object.defineProperty(target, key, { get, enumerable: true });
}

describe("encode() and decode()", () => {
  it.each<[string, unknown, string]>([
    ["undefined", undefined, "u1:"],
    ["null", null, "j1:null"],
    ["a number", 1.5e300, "j1:1.5e+300"],
    ["text", 'a "quoted" text', 'j1:"a \\"quoted\\" text"'],
    ["nested JSON", { a: [1, { b: [] }], c: {} }, 'j1:{"a":[1,{"b":[]}],"c":{}}'],
    ["NaN", NaN, "d1:-3"],
    ["a bigint", 5n, 'd1:[["BigInt","5"]]'],
  ])("stores %s in its format", (_, value, text) => {
    expect(encode(value, "output")).toBe(text);
    expect(decode(text)).toStrictEqual(value);
  });

  it.each<[string, unknown]>([
    ["an empty text", ""],
    ["false", false],
    ["zero", 0],
    ["null", null],
    ["an empty array", []],
    ["an empty object", {}],
  ])("F80 keeps %s, which is as good a value as any", (_, value) => {
    expect(roundTrip(value)).toStrictEqual(value);
  });

  it.each<[string, unknown]>([
    ["undefined in a property", { a: undefined }],
    ["undefined in an array", [undefined, null]],
    ["NaN and the infinities", [NaN, Infinity, -Infinity]],
    ["-0", [-0, 0, { a: -0 }]],
    ["-0 alone", -0],
    ["bigints", [0n, -1n, 2n ** 200n]],
    ["a hole", sparse(3, { 0: 1, 2: undefined })],
    ["holes only", sparse(5, {})],
    ["a far index", sparse(4_294_967_295, { 3: "x", 4294967294: new Date(0) })],
    ["the most holes there can be", sparse(4_294_967_295, { 3: "x" })],
    ["a hole after elements", sparse(40, { 0: 1, 1: [2], 30: { a: sparse(2, {}) } })],
  ])("F66 keeps %s", (_, value) => {
    expect(isDeepStrictEqual(roundTrip(value), value)).toBe(true);
  });

  it.each<[string, unknown]>([
    ["dates", [new Date(0), new Date(8.64e15), new Date(-8.64e15)]],
    [
      "maps",
      new Map<unknown, unknown>([
        ["a", new Map([[{ k: 1 }, new Set([1, "1", [2]])]])],
        [NaN, undefined],
      ]),
    ],
    ["regular expressions", [/a\/[b"]\n\ud800/giu, /\0/y]],
    ["URLs", new URL("https://user:pw@example.org:8080/ä?q=ü#\ud800")],
    ["buffers", { bytes: Buffer.from("häh"), none: Buffer.alloc(0) }],
    ["bytes", [new Uint8Array([1, 255]), new Uint8ClampedArray([1]), new Int8Array([-1])]],
    ["numbers in arrays", [new Float64Array([NaN, -0, 1.5, Infinity]), new Float32Array([1]), new Int32Array([-1])]],
    ["large numbers in arrays", [new BigInt64Array([-(2n ** 63n)]), new BigUint64Array([2n ** 64n - 1n])]],
    ["array buffers", new Uint8Array([3, 2, 1]).buffer],
    ["objects without a prototype", Object.assign(Object.create(null), { a: Object.create(null), toString: 1 })],
  ])("F67 keeps %s", (_, value) => {
    const copy = roundTrip(value);
    expect(isDeepStrictEqual(copy, value)).toBe(true);
    expect(Object.getPrototypeOf(copy)).toBe(Object.getPrototypeOf(value));
  });

  it("F67 keeps an invalid date", () => {
    const copy = roundTrip([new Date(NaN)]) as [Date];
    expect(copy[0]).toBeInstanceOf(Date);
    expect(copy[0].getTime()).toBeNaN();
  });

  it("F67 keeps name, message, stack, code and cause of errors, whose class becomes Error", () => {
    class QuotaError extends RangeError {
      override readonly name = "QuotaError";
      readonly code = 17;
    }
    const original = new QuotaError("full\0", { cause: new TypeError("inner", { cause: { at: new Date(0) } }) });
    const copy = roundTrip({ error: original }) as { error: QuotaError & { cause: Error } };
    expect(copy.error.constructor).toBe(Error);
    expect(copy.error).toMatchObject({ name: "QuotaError", message: "full\0", code: 17, stack: original.stack });
    expect(copy.error.cause).toMatchObject({ name: "TypeError", message: "inner", cause: { at: new Date(0) } });
    expect(Object.keys(copy.error)).toEqual(["code"]);
  });

  it("F67 keeps an error without a stack or cause as it is, and what an AggregateError collected", () => {
    const bare = new Error("x");
    delete bare.stack;
    const copy = roundTrip(bare) as Error;
    expect([copy.name, copy.message, copy.stack, "cause" in copy, "code" in copy]).toEqual([
      "Error",
      "x",
      undefined,
      false,
      false,
    ]);
    expect(roundTrip(new AggregateError([new Error("a"), 2n], "all"))).toMatchObject({
      name: "AggregateError",
      errors: [{ message: "a" }, 2n],
    });
  });

  it("F67 stores the bytes a view shows, not the rest of its buffer", () => {
    const pool = Buffer.from("public secret");
    const encoded = encode([pool.subarray(0, 6), new Uint8Array(pool.buffer, pool.byteOffset, 6)], "output");
    expect(encoded).not.toContain(Buffer.from("secret").toString("base64").slice(0, 6));
    expect(encoded.length).toBeLessThan(150);
    expect(decode(encoded)).toStrictEqual([Buffer.from("public"), new Uint8Array(Buffer.from("public"))]);
  });

  it("stores an object as often as it is referred to, in either format", () => {
    const shared = { n: 1 };
    for (const value of [
      [shared, shared],
      [shared, shared, 1n],
      new Map([
        [1, shared],
        [2, shared],
      ]),
    ]) {
      const [first, second] = [
        ...((roundTrip(value) as unknown[] | Map<number, object>).values() as Iterable<unknown>),
      ];
      expect(first).toStrictEqual(second);
      expect(first).not.toBe(second);
    }
  });

  it("reads values of another realm", () => {
    const value: unknown = runInNewContext(
      "({ a: [1, new Date(0), new Map([[1, new Set([2])]])], e: new TypeError('t') })",
    );
    expect(roundTrip(value)).toMatchObject({
      a: [1, new Date(0), new Map([[1, new Set([2])]])],
      e: { name: "TypeError" },
    });
  });

  it("leaves out what JSON leaves out: hidden properties, and named ones of an array", () => {
    const hidden = Object.defineProperty({ a: 1 }, "secret", { value: throwing, enumerable: false });
    expect(roundTrip(hidden)).toStrictEqual({ a: 1 });
    const hiddenSymbol = Object.defineProperty({ a: 1 }, Symbol("s"), { value: 1, enumerable: false });
    expect(roundTrip(hiddenSymbol)).toStrictEqual({ a: 1 });
    const forEach = throwing;
    const own = [Object.assign(new Map([[1, 2]]), { forEach }), Object.assign(new Set([1]), { forEach })];
    expect(roundTrip(own)).toStrictEqual([new Map([[1, 2]]), new Set([1])]);
    expect(roundTrip([/b/.exec("abc"), 1n])).toStrictEqual([["b"], 1n]);
    const named = Object.assign(sparse(3, { 1: "x" }), { name: 1, 4294967295: 2 });
    expect(isDeepStrictEqual(roundTrip(named), sparse(3, { 1: "x" }))).toBe(true);
  });

  it.each([
    ["NUL", "a\0b"],
    ["a lone high surrogate", "\ud83d"],
    ["a lone low surrogate", "x\ude00"],
    ["an emoji", "😀"],
  ])("F76 keeps %s in texts and keys, but not in the stored text", (_, text) => {
    for (const value of [
      text,
      [text],
      { [text]: text },
      [text, 1n],
      { [text]: 1n },
      new Map([[text, text]]),
      new Error(text),
    ]) {
      const encoded = encode(value, "output");
      expect(encoded).not.toMatch(UNSTORABLE);
      expect(isDeepStrictEqual(decode(encoded), value)).toBe(true);
    }
  });

  it("keeps an own key named __proto__ in either format, and pollutes nothing", () => {
    for (const text of ['{"__proto__":{"polluted":true},"a":1}', '{"x":[{"__proto__":null}]}']) {
      for (const value of [JSON.parse(text), [JSON.parse(text), 1n]] as unknown[]) {
        expect(isDeepStrictEqual(roundTrip(value), value)).toBe(true);
      }
    }
    const bare = Object.defineProperty(Object.create(null), "__proto__", { value: 1n, enumerable: true });
    const copy = roundTrip(bare) as object;
    expect([Object.getPrototypeOf(copy), Object.entries(copy)]).toEqual([null, [["__proto__", 1n]]]);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it.each<[string, unknown]>([
    ["a typed wrapper", { $type: "Date", value: "2020-01-01" }],
    ["superjson's form", { json: { a: "1" }, meta: { values: { a: ["bigint"] } } }],
    ["devalue's form", [["Date", "2020-01-01"], ["Error", 1], -1, -2, -7]],
    ["a stored text", ["j1:1", "d1:-1", "u1:"]],
    ["our own types' form", [["Entries", { nullPrototype: true, entries: [] }], { type: "Error", payload: {} }]],
  ])("F85 keeps data that looks like %s", (_, value) => {
    for (const item of [value, [value, 1n], encode(value, "output")]) expect(roundTrip(item)).toStrictEqual(item);
  });
});

describe("encode() refuses", () => {
  const THEN = "then";
  class Query {
    readonly [THEN] = () => undefined;
  }
  class Money {
    readonly amount = 1;
  }

  it.each<[string, unknown, string]>([
    ["a function", { a: { b: [1, 2, 3, () => 1] } }, "function at $.a.b[3]. Did you forget to call it?"],
    ["a class", [Money], "function at $[0]."],
    ["a promise", { a: Promise.resolve(1) }, "promise at $.a. Did you forget await?"],
    ["a promise alone", Promise.resolve(1), "promise at $. Did you forget await?"],
    ["a thenable class instance", { q: new Query() }, "promise (Query) at $.q. Did you forget await?"],
    ["a plain thenable", { q: { [THEN]: () => 1 } }, "function at $.q.then. Did you forget await?"],
    ["a stream", { "the body": Readable.from([]) }, 'stream (Readable) at $["the body"]. Read it'],
    ["a web stream", new ReadableStream(), "stream (ReadableStream) at $."],
  ])("F70 %s, with a hint", (_, value, message) => {
    expect(refusal(value).message).toContain(`OUTPUT_NOT_SERIALIZABLE: ${message}`);
  });

  it.each<[string, unknown, string]>([
    ["a symbol", [Symbol("s")], "symbol at $[0]"],
    ["a symbol key", { a: { [Symbol("s")]: 1 } }, "symbol key Symbol(s) at $.a."],
    ["a symbol key of a map", new Map([[Symbol("s"), 1]]), "symbol at $.get(Symbol(s))."],
  ])("F66 %s", (_, value, message) => {
    expect(refusal(value).message).toContain(message);
  });

  it.each<[string, unknown, string]>([
    ["a class instance", { m: new Map([["k", [new Money()]]]) }, 'instance of class Money at $.m.get("k")[0]'],
    ["an instance of a built-in's subclass", [new (class Index extends Map {})()], "instance of class Index at $[0]"],
    ["an array subclass", new (class Rows extends Array {})(), "instance of class Rows at $"],
    ["a weak map", { a: new WeakMap() }, "instance of class WeakMap at $.a"],
    ["a generator", { a: (function* () {})() }, "instance of class Generator at $.a"],
    ["a boxed number", [Object(1)], "instance of class Number at $[0]"],
    ["shared memory", new SharedArrayBuffer(1), "instance of class SharedArrayBuffer at $"],
    ["an object with a prototype of its own", Object.create({ a: 1 }), "instance of class Object at $"],
    ["a namespace of functions", { a: Math }, "instance of class Math at $.a"],
    ["an object of an odd lineage", [Object.create(Object.create(null))], "instance of class Object at $[0]"],
    ["a proxy of a built-in", { a: new Proxy(new Map(), {}) }, "instance of class Proxy of Map at $.a"],
    ["an instance as a map's key", new Map([[new Money(), 1]]), "instance of class Money at $.get([object])"],
    ["an instance in a set", new Set([1, new Money()]), "instance of class Money at $[1]"],
    ["an instance as a cause", new Error("x", { cause: new Money() }), "instance of class Money at $.cause"],
  ])("F67 %s, naming class and place", (_, value, message) => {
    expect(refusal(value).message).toContain(`OUTPUT_NOT_SERIALIZABLE: ${message}`);
  });

  it("F68 a toJSON method, without calling it", () => {
    let calls = 0;
    const toJSON = () => {
      calls += 1;
      return "x";
    };
    expect(refusal({ a: { toJSON } }).message).toContain("function at $.a.toJSON.");
    const hidden = Object.defineProperty({ a: 1 }, "toJSON", { value: toJSON });
    const inherited = Object.assign(Object.create({ toJSON }), { a: 1 }) as unknown;
    expect(roundTrip({ hidden })).toStrictEqual({ hidden: { a: 1 } });
    expect(refusal(inherited).code).toBe("OUTPUT_NOT_SERIALIZABLE");
    expect(roundTrip([Object.assign([1], { toJSON })])).toStrictEqual([[1]]);
    expect(calls).toBe(0);
  });

  it.each<[string, unknown, string]>([
    ["a getter that throws", { a: [withThrowing({}, "b", "boom")] }, "$.a[0].b"],
    ["a toJSON that throws when read", { a: withThrowing({}, "toJSON", "boom") }, "$.a.toJSON"],
    ["an error's getter", [withThrowing(new Error("x"), "cause", "boom")], "$[0].cause"],
    ["a proxy that lists no keys", { a: new Proxy({}, { ownKeys: throwing }) }, "$.a"],
    ["a proxy without prototype", [1n, new Proxy([], { getPrototypeOf: throwing })], "$[1]"],
    ["a proxy without type", { a: new Proxy({ b: 1 }, { get: throwing }) }, "$.a"],
    ["a proxy without elements", [new Proxy([1, 2], { get: (_, key) => (key === "1" ? throwing() : 2) })], "$[0][1]"],
    ["a getter that throws undefined", { a: withThrowing({}, "b", undefined) }, "$.a.b"],
  ])("F68 %s, never with a foreign error", (_, value, path) => {
    const error = refusal(value, "params");
    expect(error.code).toBe("PARAMS_NOT_SERIALIZABLE");
    expect(error.message).toContain(`the value at ${path} cannot be read (`);
  });

  it("F68 a getter that throws one of our own errors, under its own place", () => {
    const thrown = new WeftlineError("LEASE_LOST", "x");
    const error = refusal(withThrowing({}, "a", thrown));
    expect([error.code, error.cause]).toEqual(["OUTPUT_NOT_SERIALIZABLE", thrown]);
  });

  it("F68 a revoked proxy", () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(refusal({ a: proxy }).message).toContain("the value at $.a cannot be read (TypeError: ");
  });

  it("F69 a cycle, naming its path", () => {
    const value: { a: { b: Record<string, unknown> } } = { a: { b: {} } };
    value.a.b.a = value.a;
    expect(refusal(value).message).toContain("OUTPUT_NOT_SERIALIZABLE: cycle at $.a.b.a.");
    value.a.b.a = value;
    expect(refusal([value]).message).toContain("cycle at $[0].a.b.a.");
  });

  it("F69 a cycle through any container, however much data there is on it", () => {
    const error = new Error("x");
    error.cause = [error];
    const map = new Map<string, unknown>();
    map.set("k", new Set([map]));
    const heavy: Record<string, unknown> = { data: "x".repeat(1_000_000) };
    heavy.self = heavy;
    expect(refusal(error).message).toContain("cycle at $.cause[0].");
    expect(refusal(map).message).toContain('cycle at $.get("k")[0].');
    expect(refusal(heavy).message).toContain("cycle at $.self.");
  });

  it("F71 what is nested too deeply, and survives it", () => {
    expect(roundTrip(nested(500))).toStrictEqual(nested(500));
    expect(roundTrip(nested(500, 1n))).toStrictEqual(nested(500, 1n));
    for (const value of [nested(501), nested(501, 1n), nested(20_000), nested(1_000_000)]) {
      const { message } = refusal(value, "item");
      expect(message).toContain("ITEM_NOT_SERIALIZABLE: nested deeper than 500 levels at $.a.a.a");
      expect(message.length).toBeLessThan(300);
    }
  });

  it("F71 arrays that are nested too deeply", () => {
    const arrays = (levels: number): unknown => (levels === 0 ? 1 : [arrays(levels - 1)]);
    expect(roundTrip(arrays(500))).toStrictEqual(arrays(500));
    expect(refusal(arrays(501)).message).toContain("nested deeper than 500 levels at $[0][0]");
    expect(refusal([new Map([[1, arrays(499)]])]).message).toContain("nested deeper than 500 levels at $[0].get(1)[0]");
  });

  it("F71 what is nested too deeply only where it is referred to again", () => {
    const shared = nested(300, 1n);
    expect(roundTrip([shared, nested(199, shared)])).toStrictEqual([shared, nested(199, shared)]);
    expect(refusal([shared, nested(200, shared)]).message).toContain("nested deeper than 500 levels at $[1].a");
    const around = [shared];
    expect(refusal([shared, around, nested(250, around)]).message).toContain("nested deeper than 500 levels at $[2].a");
    const deepThenFlat = [nested(300, 1n), {}];
    expect(refusal([deepThenFlat, nested(250, deepThenFlat)]).message).toContain("deeper than 500 levels at $[1].a");
  });

  it("F71 what the call stack cannot hold, when limits were raised", () => {
    for (const value of [nested(200_000), nested(200_000, 1n)]) {
      const { message } = refusal(value, "output", NO_LIMITS);
      expect(message).toContain("OUTPUT_NOT_SERIALIZABLE: nested deeper than the call stack allows at $");
    }
  });

  it("F71 an object whose getters never end", () => {
    const endless = (): object => ({
      get a() {
        return endless();
      },
    });
    expect(refusal(endless()).message).toContain("nested deeper than 500 levels at $.a.a");
  });

  it("F72 what is too long for a string, when limits were raised", () => {
    const part = "x".repeat(180_000_000);
    const error = refusal([NaN, `${part}a`, `${part}b`, `${part}c`], "output", NO_LIMITS);
    expect(error.message).toContain("OUTPUT_TOO_LARGE: the value takes more characters than a string can have.");
  }, 30_000);

  it("F73 what is over the limit, far below that of any database", () => {
    expect(DEFAULT_VALUE_LIMITS.maxBytes).toBe(16_777_216);
    const text = "x".repeat(16_777_216 - 5);
    expect(encode(text, "output")).toHaveLength(16_777_216);
    const error = refusal(`${text}x`, "params");
    expect(error.message).toContain(
      "PARAMS_TOO_LARGE: the value takes 16777217 bytes, and 16777216 are allowed. Store it",
    );
    expect(error.message).toContain("`limits.maxValueBytes`");
  });

  it("F73 nothing that fits exactly, nor takes it for other than JSON", () => {
    const many = Array.from({ length: 9 }, () => [[], {}, [1], { a: "" }, [null, true]]);
    for (const value of [[], {}, [1, 2, 3], { a: 1, b: [[]] }, many, "text"]) {
      const text = `j1:${JSON.stringify(value)}`;
      expect(encode(value, "output", { maxBytes: text.length, maxDepth: 3 })).toBe(text);
      expect(refusal(value, "output", { maxBytes: text.length - 1, maxDepth: 3 }).code).toBe("OUTPUT_TOO_LARGE");
    }
  });

  it("F73 counts bytes, not characters", () => {
    const limits = { ...DEFAULT_VALUE_LIMITS, maxBytes: 100 };
    expect(decode(encode("ä".repeat(47), "output", limits))).toBe("ä".repeat(47));
    expect(refusal("ä".repeat(48), "output", limits).message).toContain("takes 101 bytes, and 100 are allowed");
    expect(refusal("\0".repeat(20), "output", limits).message).toContain("takes 125 bytes");
  });

  it("F73 what is too large before it writes the text", () => {
    const limits = { ...DEFAULT_VALUE_LIMITS, maxBytes: 100 };
    const long = "x".repeat(101);
    const bytes = [Buffer.alloc(80), new Float64Array(10), new Uint8Array(80).buffer];
    const texts = [10n ** 120n, new RegExp(long), new URL(`https://example.org/${long}`)];
    const keys = [new Map([[long, 1]]), Object.assign(Object.create(null), { [long]: 1 })];
    for (const value of [...bytes, ...texts, ...keys]) {
      expect(refusal([value], "output", limits).message).toContain("takes more than the 100 bytes that are allowed");
    }
  });

  it.each<[string, unknown]>([
    ["of JSON", { n: 1 }],
    ["of empty arrays", []],
    ["of other types", new Date(0)],
    ["of texts", ["x".repeat(1_000)]],
  ])("F73 a few objects that unfold to terabytes at once: %s", (_, leaf) => {
    const before = performance.now();
    expect(refusal(unfolding(40, leaf)).code).toBe("OUTPUT_TOO_LARGE");
    expect(performance.now() - before).toBeLessThan(2_000);
  });

  it("with the code of the kind of value", () => {
    const limits = { maxBytes: 10, maxDepth: 10 };
    for (const kind of ["output", "params", "item"] as const) {
      expect(refusal(() => 1, kind).code).toBe(`${kind.toUpperCase()}_NOT_SERIALIZABLE`);
      expect(refusal("x".repeat(10), kind, limits).code).toBe(`${kind.toUpperCase()}_TOO_LARGE`);
    }
  });

  it("in a message that any storage can keep", () => {
    const bad = `\0\ud83d${"x".repeat(100_000)}`;
    class Odd {}
    Object.defineProperty(Odd, "name", { value: bad });
    for (const value of [
      { [bad]: () => 1 },
      new Map([[bad, () => 1]]),
      new Odd(),
      { [Symbol(bad)]: 1 },
      withThrowing({}, "a", new Error(bad)),
    ]) {
      const { message } = refusal(value);
      expect(message).not.toMatch(UNSTORABLE);
      expect(message.length).toBeLessThan(600);
    }
  });
});

describe("decode()", () => {
  it("F84 reads what earlier versions stored", () => {
    expect(decode('j1:{"a":[1,null]}')).toStrictEqual({ a: [1, null] });
    expect(decode("u1:")).toBe(undefined);
    expect(
      decode(
        'd1:[{"at":1,"m":2,"e":5,"b":10,"p":13},["Date","2020-01-01T00:00:00.000Z"],["Map",3,4],"k",["BigInt","7"],["Error",6],{"name":7,"message":8,"code":9},"TypeError","no","E1",["Buffer",11],["Uint8Array",12],["ArrayBuffer","AQI="],["Entries",14],{"nullPrototype":15,"entries":16},false,[17],[18,19],"__proto__",1]',
      ),
    ).toMatchObject({
      at: new Date("2020-01-01"),
      m: new Map([["k", 7n]]),
      e: { name: "TypeError", message: "no", code: "E1" },
      b: Buffer.from([1, 2]),
      p: JSON.parse('{"__proto__":1}'),
    });
  });

  it.each<[string, string, string]>([
    ["an unknown version", 'j2:"secret"', 'its format is "j2:"'],
    ["an unknown format", "zz99:secret", 'its format is "zz99:"'],
    ["no format", '{"secret":1}', "no format is named"],
    ["nothing", "", "no format is named"],
    ["cut JSON", 'j1:{"secret":', 'text in format "j1:" (13 characters) is damaged'],
    ["cut devalue text", 'd1:[["Date","secret"', 'text in format "d1:"'],
    ["devalue text of an unknown type", 'd1:[["Secret",1]]', 'text in format "d1:"'],
    ["devalue text that refers nowhere", "d1:[[5]]", 'text in format "d1:"'],
    ["a buffer that is none", 'd1:[["Buffer",1],"secret"]', 'text in format "d1:"'],
    ["a prototype to set", 'd1:[{"__proto__":1},"secret"]', 'text in format "d1:"'],
    ["undefined with something", "u1:secret", 'its format is "u1:"'],
  ])("F84 refuses %s, without quoting the data", (_, text, message) => {
    let caught: unknown;
    try {
      decode(text);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(WeftlineError);
    expect((caught as WeftlineError).message).toContain(
      `VALUE_UNREADABLE: a stored value cannot be decoded: ${message}`,
    );
    expect((caught as WeftlineError).message.toLowerCase()).not.toContain("secret");
    expect((caught as WeftlineError).cause).toBeUndefined();
  });

  it("F84 refuses what is no text, as a storage with a wrong column returns it", () => {
    expect(() => decode(null as unknown as string)).toThrow("VALUE_UNREADABLE");
    expect(() => decode({} as unknown as string)).toThrow("it is not text but of type object");
  });

  it("F83 makes data only, whatever the text says", () => {
    const traces: unknown[] = [];
    Object.assign(globalThis, { planted: (...args: unknown[]) => traces.push(args) });
    try {
      for (const text of [
        'd1:[["Function",1],"planted()"]',
        'd1:[["planted",1],1]',
        'd1:[["constructor",1],1]',
        'd1:[["Error",1],{"name":2,"message":2,"stack":2,"toString":2},"planted()"]',
        'd1:[["Entries",1],{"nullPrototype":2,"entries":3},false,[4],[5,6],"__proto__",{"polluted":7},true]',
      ]) {
        try {
          decode(text);
        } catch (error) {
          expect((error as WeftlineError).code).toBe("VALUE_UNREADABLE");
        }
      }
      expect(traces).toEqual([]);
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    } finally {
      Reflect.deleteProperty(globalThis, "planted");
    }
  });

  it("makes a new value on each call", () => {
    for (const value of [{ a: 1 }, { a: new Date(0) }]) {
      const encoded = encode(value, "output");
      expect(decode(encoded)).not.toBe(decode(encoded));
    }
  });
});

describe("encodeList()", () => {
  const list = (values: readonly unknown[]) => encodeList(values.map((value) => encode(value, "item")));

  it("joins JSON values as they are", () => {
    expect(encodeList([])).toBe("j1:[]");
    expect(encodeList(["j1:1", 'j1:{"a":[2]}', 'j1:"x,y"'])).toBe('j1:[1,{"a":[2]},"x,y"]');
    expect(encodeList(["j1:not even read"])).toBe("j1:[not even read]");
  });

  it("takes any mixture, in order", () => {
    const values = [
      1,
      undefined,
      new Date(0),
      "x",
      null,
      new Error("e", { cause: 1n }),
      Buffer.from("b"),
      NaN,
      [{ a: 1 }],
    ];
    expect(isDeepStrictEqual(decode(list(values)), values)).toBe(true);
    expect(isDeepStrictEqual(decode(list([undefined])), [undefined])).toBe(true);
  });

  it("applies no limit again: depth", () => {
    expect(decode(list([nested(500, 1n), nested(500)]))).toStrictEqual([nested(500, 1n), nested(500)]);
  });

  it("applies no limit again: size", () => {
    const large = "x".repeat(10_000_000);
    expect(decode(list([large, 1n, `${large}y`]))).toStrictEqual([large, 1n, `${large}y`]);
  });

  it("refuses what it has to decode and cannot", () => {
    expect(() => encodeList(["j1:1", "x9:1"])).toThrow("VALUE_UNREADABLE");
  });

  it("F72 refuses what is too long for a string", () => {
    const item = `j1:"${"x".repeat(180_000_000)}"`;
    expect(() => encodeList([item, item, item])).toThrow("OUTPUT_TOO_LARGE");
  });
});

describe("for any value", () => {
  const anyText = fc.oneof(
    fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) }),
    fc.constantFrom("__proto__", "toJSON", "then", "constructor", "", "\0", "\ud800"),
  );
  const leaf = fc.oneof(
    anyText,
    fc.double(),
    fc.bigInt(),
    fc.constantFrom(undefined, null, true, false, -0, NaN),
    fc.date({ noInvalidDate: true }),
    fc.webUrl().map((text) => new URL(text)),
    fc.constantFrom(/a/, /\u2028[/]"/gimsuy),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    fc.oneof(fc.int8Array(), fc.float64Array(), fc.bigUint64Array(), fc.uint16Array()),
    fc.uint8Array().map((bytes) => bytes.slice().buffer),
  );
  const { value: supported } = fc.letrec((tie) => {
    const pairs = fc.array(fc.tuple(anyText, tie("value")), { maxLength: 5 });
    return {
      value: fc.oneof(
        { withCrossShrink: true, maxDepth: 6 },
        leaf,
        fc.array(tie("value"), { maxLength: 5 }),
        fc.sparseArray(tie("value"), { maxNumElements: 4, maxLength: 20 }),
        pairs.map((entries) => Object.fromEntries(entries)),
        pairs.map((entries) => {
          const object = Object.create(null) as object;
          for (const [key, value] of entries)
            Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
          return object;
        }),
        fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 4 }).map((entries) => new Map(entries)),
        fc.array(tie("value"), { maxLength: 4 }).map((items) => new Set(items)),
        fc
          .tuple(anyText, tie("value"))
          .map(([message, cause]) => (cause === undefined ? new Error(message) : new Error(message, { cause }))),
      ),
    };
  });

  it("F66 F67 gives back what it was given, from text any storage takes", () => {
    fc.assert(
      fc.property(supported, (value) => {
        const encoded = encode(value, "output");
        expect(encoded).not.toMatch(UNSTORABLE);
        expect(isDeepStrictEqual(decode(encoded), value)).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  it("F66 F67 joins any list", () => {
    fc.assert(
      fc.property(fc.array(supported, { maxLength: 4 }), (values) => {
        const encoded = encodeList(values.map((value) => encode(value, "item")));
        expect(isDeepStrictEqual(decode(encoded), values)).toBe(true);
      }),
    );
  });

  it("F68 F70 gives it back or refuses it with a code, and never anything else", () => {
    const hostile = fc.constantFrom<unknown>(
      Symbol("s"),
      throwing,
      Promise.resolve(1),
      new WeakSet(),
      { toJSON: throwing },
      Object(1n),
      new (class Odd {})(),
      Object.defineProperty({}, "x", { get: throwing, enumerable: true }),
      new Proxy([1], { get: throwing }),
      new Proxy({ a: 1 }, { getOwnPropertyDescriptor: throwing }),
      new Proxy(new Date(0), {}),
      globalThis,
      Math,
    );
    const anything = fc.oneof(
      fc.anything({
        withBigInt: true,
        withBoxedValues: true,
        withMap: true,
        withSet: true,
        withTypedArray: true,
        withSparseArray: true,
        withNullPrototype: true,
      }),
      fc.tuple(supported, hostile),
      fc.dictionary(anyText, hostile, { maxKeys: 3 }),
    );
    const limits = { maxBytes: 300, maxDepth: 3 };
    fc.assert(
      fc.property(anything, (value) => {
        try {
          expect(isDeepStrictEqual(decode(encode(value, "params", limits)), value)).toBe(true);
        } catch (error) {
          if (!(error instanceof WeftlineError)) throw error;
          expect(["PARAMS_NOT_SERIALIZABLE", "PARAMS_TOO_LARGE"]).toContain(error.code);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
