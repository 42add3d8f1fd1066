// biome-ignore-all lint/suspicious/noThenProperty: thenables are part of what callers pass by mistake
import fc, { type Arbitrary } from "fast-check";
import { type Case, listOf, objectOf, sure, throwOwn, values } from "./cases.js";

const MEGABYTE = 2 ** 20;

/** Texts that break what takes texts for harmless. */
export const hostileText: Arbitrary<Case> = fc.oneof(
  {
    weight: 12,
    arbitrary: values(
      ...["", " ", "\n", "\0", "a\0b", "\ud800", "x\udfff", "\ufeff", "\u2028", "\u202Eevil\u202C", "💥", "e\u0301"],
      ...["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "then", "default"],
      ...["'; DROP TABLE runs; --", '" OR 1=1', "$1", "%s%n", "{schema}", "\\", "`", "</script><script>"],
      ...[
        "../../etc/passwd",
        "a/b",
        "a.b",
        "a..b",
        ".",
        "-",
        "task[0]",
        "NaN",
        "Infinity",
        "1e309",
        "-0",
        "true",
        "null",
      ],
      ...["j1:", "d1:[]", "u1:", "1ms", "0s", "-1s", "1.5d", "99999999999d", "* * * * *", "99 99 * * *"],
    ),
  },
  {
    weight: 2,
    arbitrary: fc
      .string({ unit: "binary", maxLength: 20 })
      .map((text) => ({ name: JSON.stringify(text), make: () => text })),
  },
  { weight: 1, arbitrary: sure("1 MiB of a", () => "a".repeat(MEGABYTE)) },
  { weight: 1, arbitrary: sure("200,000 times ﷺ", () => "ﷺ".repeat(200_000)) },
  { weight: 1, arbitrary: values("a".repeat(200), "a".repeat(201), "a".repeat(501)) },
);

export const hostileNumber: Arbitrary<Case> = values(
  ...[0, -0, 1, -1, 0.5, 1e-300, 1e21, 1e308, 2 ** 31, 2 ** 53, -(2 ** 53), 8.64e15, 8.64e15 + 1],
  ...[Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 10n, 0n],
);

/** Values of kinds that nobody expects where another is. */
const oddThing: Arbitrary<Case> = fc.oneof(
  values(undefined, null, true, false, 0, 1, -1, "", "x", Number.NaN, 10n),
  sure("a symbol", () => Symbol("own")),
  sure("Symbol.iterator", () => Symbol.iterator),
  sure("a function", () => () => 1),
  sure("a function that throws", () => () => throwOwn(new Error("own function"))),
  sure("an async function that rejects", () => async () => throwOwn(new Error("own async function"))),
  sure("a class", () => class Own {}),
  sure("a promise", () => Promise.resolve(1)),
  sure("a thenable that never settles", () => ({ then() {} })),
  sure("an object without prototype", () => Object.create(null) as object),
  sure(
    "an instance of a class",
    () =>
      new (class Own {
        value = 1;
      })(),
  ),
  sure("a subclass of Array", () => class Own extends Array<number> {}.from([1, 2])),
  sure("a sparse array", () => new Array(5)),
  sure("an array with a name", () => Object.assign([1], { own: 2 })),
  sure("an invalid Date", () => new Date(Number.NaN)),
  sure("a Date", () => new Date(0)),
  sure("a Map", () => new Map<unknown, unknown>([[{}, Number.NaN]])),
  sure("a Set", () => new Set([1, -0])),
  sure("a WeakMap", () => new WeakMap()),
  sure("a RegExp", () => /(a+)+$/g),
  sure("a URL", () => new URL("https://example.com/?q=1")),
  sure("a Buffer", () => Buffer.from([0, 255])),
  sure("a Float64Array", () => new Float64Array([Number.NaN])),
  sure("a shared buffer", () => new SharedArrayBuffer(8)),
  sure("a boxed number", () => Object(1) as unknown),
  sure("a boxed symbol", () => Object(Symbol("own")) as unknown),
  sure("a generator", () =>
    (function* own() {
      yield 1;
    })(),
  ),
  sure("globalThis", () => globalThis),
);

/** Objects whose own code runs when somebody reads them. */
const trap: Arbitrary<Case> = fc.oneof(
  sure("a getter that throws", () => ({
    get own() {
      return throwOwn(new Error("own getter"));
    },
    a: 1,
  })),
  sure("a getter that throws undefined", () => ({
    get own() {
      return throwOwn(undefined);
    },
  })),
  sure("a getter that changes", () => {
    let n = 0;
    return {
      get own() {
        return n++ === 0 ? 1 : () => n;
      },
    };
  }),
  sure("toJSON that throws", () => ({ toJSON: () => throwOwn(new Error("own toJSON")) })),
  sure("toString that throws", () => ({ toString: () => throwOwn(new Error("own toString")) })),
  sure("toPrimitive that throws", () => ({ [Symbol.toPrimitive]: () => throwOwn(new Error("own toPrimitive")) })),
  sure("valueOf without a primitive", () => ({ valueOf: () => ({}), toString: () => ({}) })),
  sure("an iterator that throws", () => ({ [Symbol.iterator]: () => throwOwn(new Error("own iterator")) })),
  sure("an inspect that throws", () => ({
    [Symbol.for("nodejs.util.inspect.custom")]: () => throwOwn(new Error("own inspect")),
  })),
  sure("then that throws", () => ({
    get then() {
      return throwOwn(new Error("own then"));
    },
  })),
  sure("a proxy that throws", () => new Proxy({}, everyTrapThrows)),
  sure("a proxy of a function that throws", () => new Proxy(() => 1, everyTrapThrows)),
  sure("a revoked proxy", () => revoked({})),
  sure("a revoked proxy of an array", () => revoked([])),
  sure("a proxy of an array", () => new Proxy([1, 2], {})),
  sure(
    "a proxy with endless keys",
    () => new Proxy({}, { ownKeys: () => Array.from({ length: 1_000 }, (_, n) => `k${n}`) }),
  ),
);

const everyTrapThrows: ProxyHandler<object> = Object.fromEntries(
  [
    "get",
    "has",
    "ownKeys",
    "getOwnPropertyDescriptor",
    "getPrototypeOf",
    "apply",
    "construct",
    "set",
    "defineProperty",
  ].map((name) => [name, () => throwOwn(new Error(`own trap ${name}`))]),
);

function revoked(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

const large: Arbitrary<Case> = fc.oneof(
  sure("a cycle", () => {
    const own: Record<string, unknown> = { a: 1 };
    own.own = own;
    return own;
  }),
  sure("a cycle through a Map", () => {
    const own = new Map<string, unknown>();
    own.set("own", own);
    return own;
  }),
  sure("an array in itself", () => {
    const own: unknown[] = [];
    own.push(own);
    return own;
  }),
  sure("10,000 deep", () => nested(10_000)),
  sure("501 deep", () => nested(501)),
  sure("an array of 100,000", () => Array.from({ length: 100_000 }, (_, n) => n)),
  sure("20,000 keys", () => Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`k${n}`, n]))),
  sure("20 MB of text", () => "a".repeat(20 * MEGABYTE)),
  sure("2^32 - 1 holes", () => new Array(2 ** 32 - 1)),
);

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let n = 0; n < depth; n++) value = n % 2 === 0 ? [value] : { a: value };
  return value;
}

const withOddKeys: Arbitrary<Case> = fc.oneof(
  sure("an own __proto__", () => JSON.parse('{"__proto__":{"polluted":true},"constructor":1}') as unknown),
  sure("a key of NUL", () => ({ "\0": 1, "\ud800": 2 })),
  sure("a symbol for a key", () => ({ [Symbol("own")]: 1 })),
  sure("a hidden property", () => Object.defineProperty({}, "own", { value: () => 1, enumerable: false })),
);

/** What programs throw. */
export const hostileError: Arbitrary<Case> = fc.oneof(
  sure("an Error", () => new Error("own error")),
  sure("an Error with 1 MiB of message", () => new Error("m".repeat(MEGABYTE))),
  sure("an Error that causes itself", () => {
    const own = new Error("own");
    own.cause = own;
    return own;
  }),
  sure("a chain of 1,000 causes", () => {
    let own = new Error("first");
    for (let n = 0; n < 1_000; n++) own = new Error(`after ${n}`, { cause: own });
    return own;
  }),
  sure("an AggregateError of itself", () => {
    const own = new AggregateError([], "own");
    own.errors.push(own, undefined, 1);
    return own;
  }),
  sure("an Error whose message throws", () =>
    Object.defineProperty(new Error("x"), "message", { get: () => throwOwn(new Error("own message")) }),
  ),
  sure("an Error whose stack is no text", () =>
    Object.assign(new Error("x"), { stack: { a: 1 }, name: Symbol("own"), code: {} }),
  ),
  sure("an Error with a NUL", () => Object.assign(new Error("a\0b\ud800"), { code: "\0" })),
  sure("an Error named like ours", () => Object.assign(new Error("x"), { name: "RetryAfter", delay: Number.NaN })),
  sure("an Error with a code of ours", () => Object.assign(new Error("x"), { code: "RUN_CANCELLED" })),
  oddThing,
  trap,
  large,
);

const leaf: Arbitrary<Case> = fc.oneof(
  { weight: 4, arbitrary: oddThing },
  { weight: 3, arbitrary: hostileText },
  { weight: 2, arbitrary: hostileNumber },
  { weight: 3, arbitrary: trap },
  { weight: 1, arbitrary: withOddKeys },
  { weight: 1, arbitrary: large },
  { weight: 1, arbitrary: hostileError },
);

/** Anything at all. */
export const hostile: Arbitrary<Case> = fc.oneof(
  { weight: 5, arbitrary: leaf },
  { weight: 1, arbitrary: listOf(leaf) },
  { weight: 1, arbitrary: objectOf({ a: leaf, b: leaf, __proto__x: leaf, then: leaf }) },
);
