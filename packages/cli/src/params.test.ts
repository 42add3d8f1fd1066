import { describe, expect, it } from "vitest";
import { UsageError } from "./errors.js";
import { readParams } from "./params.js";
import { tempProject } from "./testing/temp-project.js";

const cwd = process.cwd();

function messageOf(params: string): string {
  try {
    readParams({ params, pairs: [], cwd });
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(UsageError);
    return (thrown as Error).message;
  }
  throw new Error(`${params} was read`);
}

describe("readParams()", () => {
  it("gives nothing when nothing is given", () => {
    expect(readParams({ pairs: [], cwd })).toBeUndefined();
  });

  it.each([
    ["day=2026-11-22", { day: "2026-11-22" }],
    ["limit=5", { limit: 5 }],
    ["dry=true", { dry: true }],
    ["id=0123", { id: "0123" }],
    ['id="5"', { id: "5" }],
    ["regions=[1,2]", { regions: [1, 2] }],
    ["query=a=b", { query: "a=b" }],
    ["empty=", { empty: "" }],
  ])("reads the pair %s", (pair, expected) => {
    expect(readParams({ pairs: [pair], cwd })).toEqual(expected);
  });

  it("lets pairs go before --params, and the last pair before the others", () => {
    expect(readParams({ params: '{"a":1,"b":1}', pairs: ["b=2", "c=2", "c=3"], cwd })).toEqual({ a: 1, b: 2, c: 3 });
  });

  it("keeps a param named __proto__ a param", () => {
    const params = readParams({ pairs: ['__proto__={"polluted":true}'], cwd }) as object;
    expect(Object.keys(params)).toEqual(["__proto__"]);
    expect("polluted" in params).toBe(false);
  });

  it("reads a file, with or without a byte order mark", () => {
    const folder = tempProject({ "params.json": '\ufeff{"day":"today"}' });
    expect(readParams({ params: "@params.json", pairs: [], cwd: folder })).toEqual({ day: "today" });
  });

  it("says which file is missing or wrong, and where", () => {
    const folder = tempProject({ "params.json": '{\n  "day": today\n}' });
    expect(() => readParams({ params: "@none.json", pairs: [], cwd: folder })).toThrow(
      "Cannot read the params in none.json",
    );
    expect(() => readParams({ params: "@params.json", pairs: [], cwd: folder })).toThrowErrorMatchingInlineSnapshot(`
      [UsageError: Cannot read params.json as JSON: unexpected "o" at line 2, column 11
          "day": today
                  ^]
    `);
  });

  it("refuses a pair without a key, and pairs on top of a list", () => {
    for (const pair of ["day", "=5"]) expect(() => readParams({ pairs: [pair], cwd })).toThrow("Write key=value");
    expect(() => readParams({ params: "[]", pairs: ["a=1"], cwd })).toThrow(UsageError);
  });

  it.each([
    ["abc", 'unexpected "a" at line 1, column 1'],
    ["{'a':1}", `unexpected "'" at line 1, column 2`],
    ["{a:1}", 'unexpected "a" at line 1, column 2'],
    ['{"a":1,}', 'unexpected "}" at line 1, column 8'],
    ['{"a": tru}', 'unexpected "}" at line 1, column 10'],
    ['{"a": 1', "it ends too early at line 1, column 8"],
    ["[1 2]", 'unexpected "2" at line 1, column 4'],
    ['{"a": 1} x', 'unexpected "x" at line 1, column 10'],
    ['{"a": 1,\n "b": nope}', 'unexpected "o" at line 2, column 8'],
    ["", "it ends too early at line 1, column 1"],
  ])("points into %s", (params, expected) => {
    expect(messageOf(params)).toContain(expected);
  });

  it("shows the part of a long line where it goes wrong", () => {
    const [, line, caret] = messageOf(`{"list": [${"1, ".repeat(200)}oops]}`).split("\n");
    expect(line!.length).toBeLessThan(80);
    expect(line![caret!.indexOf("^")]).toBe("o");
  });
});
