import { describe, expect, it } from "vitest";
import { toErrorRecord, WeftlineError } from "weftline";
import { describeBriefly, describeRecord, describeThrown, isUsageError, UsageError } from "./errors.js";

const record = (error: unknown) => toErrorRecord(error);

describe("describeRecord()", () => {
  it("tells the causes below, and no stack", () => {
    const error = new TypeError("fetch failed", {
      cause: Object.assign(new Error("connect 10.0.0.1:80"), { code: "ECONNREFUSED", cause: new Error("root") }),
    });
    expect(describeRecord(record(error), false)).toEqual([
      "TypeError: fetch failed",
      "  caused by Error: connect 10.0.0.1:80 (ECONNREFUSED)",
      "    caused by Error: root",
    ]);
  });

  it("tells what an AggregateError collected", () => {
    const error = new AggregateError([new Error("a"), new Error("b")], "both failed");
    expect(describeRecord(record(error), false)).toEqual([
      "AggregateError: both failed",
      "  one of them: Error: a",
      "  one of them: Error: b",
    ]);
  });

  it("indents further lines of a message, and keeps escapes out of the terminal", () => {
    expect(describeRecord(record(new Error("first\n\x1b[31msecond\x1b[2J")), false)).toEqual([
      "Error: first",
      "  second",
    ]);
  });

  it("says the code of our own errors once", () => {
    const error = new WeftlineError("PARAMS_INVALID", "wrong");
    expect(describeRecord(record(error), false)).toEqual(["PARAMS_INVALID: wrong"]);
  });

  it("shows the stack when asked", () => {
    const [first, second] = describeRecord(record(new Error("here")), true);
    expect(first).toBe("Error: here");
    expect(second).toMatch(/^ {4}at .*errors\.test\.ts/);
  });
});

it("describeBriefly() is one line", () => {
  expect(describeBriefly(record(new Error("a\n  b", { cause: new Error("c") })))).toBe("Error: a b");
  expect(describeBriefly(record("text"))).toBe('Error: Thrown value: "text"');
});

describe("describeThrown()", () => {
  it("says a usage error as it is", () => {
    expect(describeThrown(new UsageError("Cannot do it", { cause: new Error("why") }), false)).toBe(
      "error: Cannot do it",
    );
    expect(describeThrown(new UsageError("Cannot do it", { cause: new Error("why") }), true)).toMatch(
      /Error: why\n {4}at /,
    );
  });

  it("copes with anything", () => {
    expect(describeThrown(undefined, false)).toBe("error: Error: Thrown value: undefined");
  });
});

it("isUsageError() knows the errors of another copy of the library", () => {
  const foreign = Object.assign(new Error("DAG_CYCLE: no"), { name: "WeftlineError", code: "DAG_CYCLE" });
  expect([new UsageError("x"), foreign, new Error("x"), undefined].map(isUsageError)).toEqual([
    true,
    true,
    false,
    false,
  ]);
});
