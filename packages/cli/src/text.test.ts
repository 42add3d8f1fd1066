import { describe, expect, it } from "vitest";
import {
  bytes,
  colorsFor,
  duration,
  exactDuration,
  padEnd,
  plainLine,
  plainLines,
  shortList,
  truncate,
} from "./text.js";

describe("plainLine()", () => {
  it.each([
    ["colours", "\x1b[31mred\x1b[0m", "red"],
    ["a cleared screen", "a\x1b[2J\x1b[Hb", "ab"],
    ["a window title", "a\x1b]0;title\x07b", "ab"],
    ["a link", "\x1b]8;;https://example.com\x07text\x1b]8;;\x07", "text"],
    ["a single-character escape", "a\u009b31mb", "ab"],
    ["a lone escape", "a\x1b", "a"],
    ["bells and backspaces", "a\x07\b\x7fb", "ab"],
    ["line breaks and tabs", "a\r\n\tb\u2028c", "a b c"],
    ["marks that turn text around", "user\u202etxt.exe", "usertxt.exe"],
    ["nothing else", "日本語 🎉 é", "日本語 🎉 é"],
  ])("takes away %s", (_what, text, expected) => {
    expect(plainLine(text)).toBe(expected);
  });
});

it("plainLines() keeps line breaks, and indents for tabs", () => {
  expect(plainLines("a\r\nb\rc\n\td\x1b[1m")).toEqual(["a", "b", "c", "  d"]);
});

describe("truncate()", () => {
  it.each([
    ["short", 10, "short"],
    ["exactly10!", 10, "exactly10!"],
    ["one too long", 11, "one too lo…"],
    ["日本語日本語", 7, "日本語…"],
    ["日本語日本語", 6, "日本…"],
    ["👩‍👩‍👧👩‍👩‍👧", 3, "👩‍👩‍👧…"],
    ["anything", 1, "…"],
    ["anything", 0, ""],
    ["x".repeat(100_000), 4, "xxx…"],
  ])("of %s to %d columns", (text, width, expected) => {
    expect(truncate(text, width)).toBe(expected);
  });
});

it("padEnd() counts columns, not characters", () => {
  expect(padEnd("日本", 6)).toBe("日本  ");
});

it.each([
  [-5, "0ms"],
  [0, "0ms"],
  [999.4, "999ms"],
  [1_000, "1.0s"],
  [59_949, "59.9s"],
  [59_951, "1m 00s"],
  [125_000, "2m 05s"],
  [3_599_600, "1h 00m"],
  [3_725_000, "1h 02m"],
  [86_400_000, "1d 00h"],
  [100 * 3_600_000, "4d 04h"],
])("duration() of %d ms is %s", (ms, expected) => {
  expect(duration(ms)).toBe(expected);
});

it.each([
  [0, "0ms"],
  [1_500, "1500ms"],
  [90_000, "90s"],
  [600_000, "10m"],
  [7_200_000, "2h"],
  [172_800_000, "2d"],
])("exactDuration() of %d ms is %s", (ms, expected) => {
  expect(exactDuration(ms)).toBe(expected);
});

it.each([
  [0, "0 B"],
  [999, "999 B"],
  [1_000, "1.0 kB"],
  [999_949, "999.9 kB"],
  [999_950, "1.0 MB"],
])("bytes() of %d is %s", (size, expected) => {
  expect(bytes(size)).toBe(expected);
});

it("shortList() counts what it leaves out", () => {
  expect(shortList(["a", "b"], 2)).toBe("a, b");
  expect(shortList(["a", "b", "c", "d"], 2)).toBe("a, b and 2 more");
});

describe("colorsFor()", () => {
  it.each([
    [{ isTTY: true, env: {} }, true],
    [{ isTTY: false, env: {} }, false],
    [{ isTTY: true, env: { NO_COLOR: "1" } }, false],
    [{ isTTY: true, env: { NO_COLOR: "" } }, true],
    [{ isTTY: true, env: { NO_COLOR: "1", FORCE_COLOR: "1" } }, false],
    [{ isTTY: false, env: { FORCE_COLOR: "1" } }, true],
    [{ isTTY: true, env: { FORCE_COLOR: "0" } }, false],
    [{ isTTY: true, env: { TERM: "dumb" } }, false],
  ])("in %o: %s", (io, expected) => {
    expect(colorsFor(io).isColorSupported).toBe(expected);
  });
});
