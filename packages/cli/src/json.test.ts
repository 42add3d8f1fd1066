import { describe, expect, it } from "vitest";
import { jsonLine, withoutStack } from "./json.js";

describe("jsonLine()", () => {
  it.each([
    ["a big number", 10n ** 20n, "100000000000000000000"],
    ["a date", new Date(0), "1970-01-01T00:00:00.000Z"],
    ["a map", new Map([["a", 1n]]), [["a", "1"]]],
    ["a set", new Set([1, 2]), [1, 2]],
    ["an error", new RangeError("no"), { name: "RangeError", message: "no" }],
    ["a pattern", /a+/g, "/a+/g"],
    ["a URL", new URL("https://example.com/"), "https://example.com/"],
    ["bytes", new Uint8Array([104, 105]), "aGk="],
    ["a buffer", Buffer.from("hi"), "aGk="],
    ["a typed array", new Float64Array([1.5, 2]), [1.5, 2]],
    ["not a number", Number.NaN, null],
  ])("writes %s", (_what, value, expected) => {
    expect(JSON.parse(jsonLine({ value }))).toEqual({ value: expected });
  });

  it("is one line without control characters", () => {
    const line = jsonLine({ text: "a\nb\x1b[31m\u009b31m\x7f" });
    expect(line).toMatch(/^[^\p{Cc}]*\n$/u);
    expect(JSON.parse(line)).toEqual({ text: "a\nb\x1b[31m\u009b31m\x7f" });
  });
});

it("withoutStack() keeps names, messages, codes and causes", () => {
  const error = { name: "A", message: "a", stack: "s", cause: { name: "B", message: "b", code: "C", stack: "s" } };
  const errors = [{ name: "D", message: "d", stack: "s" }];
  expect(withoutStack({ ...error, errors })).toEqual({
    name: "A",
    message: "a",
    cause: { name: "B", message: "b", code: "C" },
    errors: [{ name: "D", message: "d" }],
  });
});
