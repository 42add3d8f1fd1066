import { expect, it } from "vitest";
import { closest } from "./closest.js";

it.each([
  ["nightli", ["nightly", "hourly"], "nightly"],
  ["NIGHTLY", ["nightly"], "nightly"],
  ["nihgtly", ["nightly", "night"], "nightly"],
  ["b", ["a", "bb"], "a"],
  ["deploy", ["report", "fetch"], undefined],
  ["x", [], undefined],
])("closest() to %s in %o is %s", (word, candidates, expected) => {
  expect(closest(word, candidates)).toBe(expected);
});
