import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { describeError, type ErrorRecord, fromErrorRecord, toErrorRecord } from "./error-record.js";

const throwing = (): never => {
  throw new Error("must not get out");
};

function revokedProxy(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

/** A proxy every trap of which throws. */
function hostileProxy(target: object): object {
  return new Proxy(target, new Proxy({}, { get: () => throwing }));
}

function withThrowing(target: object, keys: readonly PropertyKey[]): object {
  for (const key of keys) Object.defineProperty(target, key, { get: throwing });
  return target;
}

function chain(length: number): Error {
  let error = new Error("cause 0");
  for (let level = 1; level <= length; level += 1) error = new Error(`cause ${level}`, { cause: error });
  return error;
}

function* allRecords(record: ErrorRecord): Generator<ErrorRecord> {
  yield record;
  if (record.cause) yield* allRecords(record.cause);
  for (const inner of record.errors ?? []) yield* allRecords(inner);
}

describe("toErrorRecord()", () => {
  it("keeps name, message, code, stack and cause of an error", () => {
    const error = Object.assign(new TypeError("no such file", { cause: new RangeError("inner") }), { code: "ENOENT" });
    expect(toErrorRecord(error)).toEqual({
      name: "TypeError",
      message: "no such file",
      code: "ENOENT",
      stack: error.stack,
      cause: { name: "RangeError", message: "inner", stack: (error.cause as Error).stack },
    });
  });

  it("has no keys for what is missing", () => {
    const error = new Error("x");
    delete error.stack;
    expect(Object.keys(toErrorRecord(error))).toEqual(["name", "message"]);
  });

  it.each<[string, unknown, string]>([
    ["a string", 'te"xt', 'Thrown value: "te\\"xt"'],
    ["an empty string", "", 'Thrown value: ""'],
    ["undefined", undefined, "Thrown value: undefined"],
    ["null", null, "Thrown value: null"],
    ["a number", 0, "Thrown value: 0"],
    ["a bigint", 5n, "Thrown value: 5n"],
    ["a symbol", Symbol("s"), "Thrown value: Symbol(s)"],
    ["a function", throwing, "Thrown value: [Function: throwing]"],
    ["a plain object", { status: 404 }, "Thrown value: { status: 404 }"],
    ["an array", [1, 2], "Thrown value: [ 1, 2 ]"],
    ["a longer array", [1, 2, 3, 4, 5, 6, 7, 8], "Thrown value: [ 1, 2, 3, 4, 5, 6, 7, 8 ]"],
    ["a revoked proxy", revokedProxy(), "Thrown value: <Revoked Proxy>"],
    ["an object that shows itself", { [Symbol.for("nodejs.util.inspect.custom")]: throwing }, "Thrown value: {"],
  ])("says what was thrown: %s", (_, thrown, message) => {
    const record = toErrorRecord(thrown);
    expect(record.name).toBe("Error");
    expect(record.message.startsWith(message)).toBe(true);
    expect(record.stack).toBeUndefined();
  });

  it("takes message and code of an object that is an error in all but its class", () => {
    expect(toErrorRecord({ message: "deadline exceeded", code: 4 })).toEqual({
      name: "Error",
      message: "deadline exceeded",
      code: "4",
    });
  });

  // Made inside the test, as the runner looks at what it is given.
  it.each<[string, () => unknown]>([
    ["getters", () => Object.defineProperties({}, { message: { get: throwing }, code: { get: throwing } })],
    [
      "getters of an error",
      () => withThrowing(new Error("x"), ["stack", "name", "message", "code", "cause", "errors"]),
    ],
    ["traps", () => hostileProxy({})],
    ["traps around an error", () => hostileProxy(new Error("x"))],
    ["a type tag", () => withThrowing({}, [Symbol.toStringTag])],
    [
      "an error's parts",
      () => Object.assign(new AggregateError([]), { errors: revokedProxy(), cause: revokedProxy() }),
    ],
    ["a length", () => Object.assign(new AggregateError([]), { errors: { length: Symbol("many") } })],
    ["a message's text", () => Object.assign(new Error(), { message: { toString: throwing, toJSON: throwing } })],
  ])("never throws itself: throwing %s", (_, thrown) => {
    const record = toErrorRecord(thrown());
    expect(typeof record.name).toBe("string");
    expect(typeof record.message).toBe("string");
    expect(record.message).not.toContain("must not get out");
  });

  it("shows a message that is no string", () => {
    expect(toErrorRecord(Object.assign(new Error(), { message: { status: 500 } })).message).toBe("{ status: 500 }");
    expect(toErrorRecord(Object.assign(new Error(), { message: undefined, name: 7 }))).toMatchObject({
      name: "Error",
      message: "undefined",
    });
    expect(toErrorRecord(Object.assign(new Error("x"), { name: "" })).name).toBe("Error");
  });

  it("reads frozen errors, DOM exceptions and errors of another realm", () => {
    expect(toErrorRecord(Object.freeze(new Error("frozen"))).message).toBe("frozen");
    expect(toErrorRecord(new DOMException("gone", "AbortError"))).toMatchObject({
      name: "AbortError",
      message: "gone",
    });
    expect(toErrorRecord(runInNewContext("new TypeError('far')"))).toMatchObject({ name: "TypeError", message: "far" });
  });

  it("stops where a chain of causes leads back to itself", () => {
    const outer = new Error("outer");
    const inner = new Error("inner", { cause: outer });
    outer.cause = inner;
    const record = toErrorRecord(outer);
    expect(record.cause?.message).toBe("inner");
    expect(record.cause).not.toHaveProperty("cause");
  });

  it("keeps the first 8 causes", () => {
    expect([...allRecords(toErrorRecord(chain(8)))].map((record) => record.message).at(-1)).toBe("cause 0");
    expect([...allRecords(toErrorRecord(chain(50)))]).toHaveLength(9);
  });

  it("keeps the first 10 errors of an AggregateError", () => {
    const errors = Array.from({ length: 15 }, (_, index) => (index === 1 ? "text" : new Error(`error ${index}`)));
    const record = toErrorRecord(new AggregateError(errors, "all failed"));
    expect(record.message).toBe("all failed");
    expect(record.errors?.map((inner) => inner.message)).toEqual([
      "error 0",
      'Thrown value: "text"',
      ...Array.from({ length: 8 }, (_, index) => `error ${index + 2}`),
    ]);
    expect(toErrorRecord(Object.assign(new Error("x"), { errors: [1, 2] }))).not.toHaveProperty("errors");
  });

  it("is bounded as a whole, whatever causes and collected errors multiply to", () => {
    const long = "x".repeat(100_000);
    let error: Error = new Error(long);
    for (let level = 0; level < 8; level += 1) {
      error = new AggregateError(
        Array.from({ length: 10 }, () => error),
        long,
        { cause: error },
      );
    }
    const record = toErrorRecord(error);
    expect([...allRecords(record)]).toHaveLength(20);
    expect(JSON.stringify(record).length).toBeLessThan(520_000);
  });

  it("F74 bounds every text without splitting a character, a message of 100 MB too", () => {
    const long = "😀".repeat(25_000_000);
    const error = Object.assign(new Error("x"), { name: long, message: long, stack: long, code: long });
    const record = toErrorRecord(error);
    expect(record.name.length).toBeLessThanOrEqual(256);
    expect(record.message.length).toBeLessThanOrEqual(8_192);
    expect(record.message.length).toBeGreaterThan(8_000);
    expect(record.stack?.length).toBeLessThanOrEqual(16_384);
    expect(record.code?.length).toBeLessThanOrEqual(256);
    expect(JSON.stringify(record)).not.toMatch(/\\u[dD]8/);
    for (const text of [long, '"'.repeat(8_000), "\n".repeat(8_000)]) {
      expect(toErrorRecord(text).message.length).toBeLessThanOrEqual(8_192);
    }
  });

  it("F76 keeps NUL and unpaired surrogates out of every text", () => {
    const bad = "a\0\ud83d";
    const error = Object.assign(new Error(bad), { name: bad, code: bad, stack: bad });
    const good = "a\uFFFD\uFFFD";
    expect(toErrorRecord(error)).toEqual({ name: good, message: good, code: good, stack: good });
    expect(toErrorRecord(bad).message).not.toMatch(/[\0\p{Surrogate}]/u);
  });

  it("does not spend seconds on showing a huge object", () => {
    const wide = Object.fromEntries(Array.from({ length: 200_000 }, (_, index) => [`key${index}`, index]));
    expect(toErrorRecord(wide).message).toBe("Thrown value: [object with more than 100 properties]");
    expect(toErrorRecord({ wide }).message).toBe("Thrown value: { wide: [Object] }");
  });
});

describe("fromErrorRecord()", () => {
  it("gives back an error with everything the record has", () => {
    const record = toErrorRecord(
      Object.assign(new AggregateError([new TypeError("a")], "all", { cause: new RangeError("b") }), { code: "E1" }),
    );
    const error = fromErrorRecord(record);
    expect(error).toBeInstanceOf(Error);
    expect(toErrorRecord(error)).toEqual(record);
    expect(Object.keys(error)).toEqual(["code"]);
  });

  it("has no cause and no code when the record has none, and a stack that does not point here", () => {
    const error = fromErrorRecord({ name: "Error", message: "x" });
    expect(Object.hasOwn(error, "cause")).toBe(false);
    expect(Object.hasOwn(error, "code")).toBe(false);
    expect(error.stack).toBe("Error: x");
  });
});

describe("describeError()", () => {
  it("ends where causes lead back to themselves", () => {
    const own = new Error("own");
    own.cause = own;
    expect(describeError(own as unknown as ErrorRecord).length).toBeLessThan(1_000);
  });

  it("describes what is no record as well", () => {
    for (const given of [undefined, null, 1, {}, { name: 1, message: [] }, { name: "E", message: "m", cause: {} }]) {
      expect(describeError(given as unknown as ErrorRecord)).toMatch(/\w/);
    }
  });

  it("is one line with the whole chain of causes", () => {
    const cause = { name: "TypeError", message: "b\n  and c", cause: { name: "Timeout", message: "" } };
    expect(describeError({ name: "Error", message: "a", cause })).toBe(
      "Error: a (caused by: TypeError: b and c (caused by: Timeout))",
    );
  });
});
