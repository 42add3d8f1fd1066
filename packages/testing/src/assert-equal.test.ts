import { AssertionError } from "node:assert";
import { describe, expect, it } from "vitest";
import { assertEqual } from "./assert-equal.js";

function messageOf(actual: unknown, expected: unknown): string {
  try {
    assertEqual(actual, expected, "what it is about");
  } catch (error) {
    expect(error).toBeInstanceOf(AssertionError);
    return (error as Error).message;
  }
  throw new Error("they count as equal");
}

describe("assertEqual()", () => {
  it("accepts what is deeply equal, and nothing that is only alike", () => {
    assertEqual({ a: [1, Number.NaN, new Date(0)] }, { a: [1, Number.NaN, new Date(0)] });
    expect(() => assertEqual({ a: undefined }, {})).toThrow("the values differ");
    expect(() => assertEqual([1], ["1"])).toThrow("the values differ");
    expect(() => assertEqual(Buffer.of(1), Uint8Array.of(1))).toThrow("the values differ");
  });

  it("names the places that differ", () => {
    const message = messageOf({ runs: [{ id: "a", at: 1 }], next: 5 }, { runs: [{ id: "a", at: 2 }], next: undefined });
    expect(message).toBe(
      "what it is about\n  at .runs[0].at: expected 2, found 1\n  at .next: expected undefined, found 5",
    );
    expect(messageOf(1, 2)).toBe("what it is about\n  the value: expected 2, found 1");
  });

  it("stays short, however much differs", () => {
    const big = { data: Buffer.alloc(1_000_000, 1), list: Array.from({ length: 10_000 }, (_, i) => i) };
    const other = { data: Buffer.alloc(1_000_000, 2), list: Array.from({ length: 10_000 }, (_, i) => -i - 1) };
    expect(messageOf(big, other).length).toBeLessThan(10_000);
  });
});
