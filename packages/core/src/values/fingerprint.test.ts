import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decode, encode } from "./codec.js";
import { fingerprint } from "./fingerprint.js";

describe("fingerprint()", () => {
  it("is the same for the whole major version", () => {
    expect(fingerprint({ b: [1, "x", null], a: new Map([["k", 1n]]) })).toBe(
      "f0c2c93c97268e663fd20f803c67cac2ab800ca21401844a3fc3b38fd29ca838",
    );
    expect(fingerprint(undefined)).toBe("eb045d78d273107348b0300c01d29b7552d622abbc6faf81b3ec55359aa9950c");
  });

  it("F77 does not depend on the order of an object's keys, at any depth", () => {
    expect(fingerprint({ a: 1, b: { c: 2, d: [{ e: 3, f: 4 }] } })).toBe(
      fingerprint({ b: { d: [{ f: 4, e: 3 }], c: 2 }, a: 1 }),
    );
    expect(fingerprint({ 2: "b", 10: "a", x: 1 })).toBe(fingerprint({ x: 1, 10: "a", 2: "b" }));
  });

  it("counts an undefined property as missing, and an object without a prototype as a plain one", () => {
    expect(fingerprint({ a: 1, b: undefined })).toBe(fingerprint({ a: 1 }));
    expect(fingerprint(Object.assign(Object.create(null), { a: 1 }))).toBe(fingerprint({ a: 1 }));
  });

  it("does not depend on where an error was made", () => {
    const elsewhere = new Error("x");
    elsewhere.stack = "elsewhere";
    expect(fingerprint(new Error("x"))).toBe(fingerprint(elsewhere));
  });

  it("F77 differs for every two of these", () => {
    const primitives = [undefined, null, true, false, 0, -0, 1, 1n, NaN, Infinity, -Infinity];
    const texts = ["1", "", "null", "undefined", "true", "ab", "\ud800", "\ud801", "\uFFFD", "\\ud800", "a\0b", "/a/"];
    const records = [{}, { a: 1 }, { a: "1" }, { a: 1, b: 2 }, { "a:1,b": 2 }, { a: { b: 1 } }, { date: 0 }];
    const arrays = [[], [undefined], [null], [[]], [1, 2], [2, 1], ["1,2"], ["1", "2"], ['","'], [["a", 1]]];
    const withHoles = (length: number, items: object): unknown[] => Object.assign(new Array(length), items);
    const sparse = [
      ...[withHoles(1, {}), withHoles(2, {}), withHoles(3, { 0: 1, 2: 2 }), withHoles(3, { 0: 1, 1: 2 })],
      ...[withHoles(3, { 1: 1, 2: 2 }), [1, undefined, 2]],
    ];
    const maps = [
      ...[new Map(), new Map([["a", 1]]), new Map([["a", ["b"]]]), new Map([[["a"], "b"]])],
      ...[new Map([["a", 1]]).set("b", 2), new Map([["b", 2]]).set("a", 1)],
    ];
    const sets = [[], [1], [1, 2], [2, 1], ["a", 1]].map((items) => new Set<unknown>(items));
    const dates = [new Date(0), new Date(1), new Date(NaN), "1970-01-01T00:00:00.000Z"];
    const urls = [new URL("https://example.org/a"), new URL("https://example.org/b"), "https://example.org/a"];
    const errors = [
      ...[
        new Error("a"),
        new Error("b"),
        new TypeError("a"),
        new Error("a", { cause: 1 }),
        { name: "Error", message: "a" },
      ],
      ...[Object.assign(new Error("a"), { code: "E" }), new AggregateError([1], "a"), new AggregateError([2], "a")],
    ];
    const bytes = [
      ...[Buffer.from("ab"), Buffer.from("ba"), new Uint8Array([97, 98]), new Uint8Array([97, 98]).buffer],
      ...[new Uint16Array([97]), new Int8Array([97, 98])],
    ];
    const values: unknown[] = [
      ...[primitives, texts, records, arrays, sparse, maps, sets, dates, [/a/, /a/g, /b/], urls, errors, bytes].flat(),
    ];
    const seen = new Map<string, unknown>();
    for (const value of values) {
      const print = fingerprint(value);
      expect(print).toMatch(/^[0-9a-f]{64}$/);
      expect(seen.has(print) ? [value, seen.get(print)] : undefined).toBeUndefined();
      seen.set(print, value);
    }
  });

  it("F77 counts an own key named __proto__ like any other", () => {
    expect(fingerprint(JSON.parse('{"__proto__":1}'))).not.toBe(fingerprint({}));
    expect(fingerprint(JSON.parse('{"__proto__":1}'))).not.toBe(fingerprint(JSON.parse('{"__proto__":2}')));
  });

  it("sees the bytes a view shows, not those of its buffer", () => {
    const { buffer } = new Uint8Array([1, 2, 3, 4]);
    expect(fingerprint(new Uint8Array(buffer, 1, 2))).toBe(fingerprint(new Uint8Array([2, 3])));
  });

  it("takes far indexes and long texts in their stride", () => {
    const far: unknown[] = [];
    far[4_294_967_294] = 1;
    expect(fingerprint(far)).not.toBe(fingerprint(new Array(4_294_967_295)));
    const long = "x".repeat(200_000);
    expect(fingerprint([long, 1])).not.toBe(fingerprint([long, 2]));
    expect(fingerprint([1, long])).not.toBe(fingerprint([2, long]));
    expect(fingerprint(Object.assign([1], { 4294967295: 2 }))).toBe(fingerprint([1]));
    expect(fingerprint(Object.assign([1], { name: 2 }))).toBe(fingerprint([1]));
  });

  it("refuses what has no content to compare", () => {
    class Money {}
    for (const value of [() => 1, Symbol("s"), new Money(), Promise.resolve(1)]) {
      expect(() => fingerprint({ value })).toThrow(TypeError);
    }
  });

  it("F77 survives storing: a decoded value has the fingerprint of the original", () => {
    const anyValue = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withSparseArray: true,
    });
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(fingerprint(decode(encode(value, "params")))).toBe(fingerprint(value));
      }),
    );
  });
});
