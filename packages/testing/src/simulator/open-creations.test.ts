import { describe, expect, it } from "vitest";
import { OpenCreations } from "./open-creations.js";

describe("OpenCreations", () => {
  it("holds a run for as long as nobody has answered", () => {
    const creations = new OpenCreations(0);
    creations.asked(["a"]);
    expect([creations.has("a", 1e12), creations.has("b", 0)]).toEqual([true, false]);
    creations.answered(["a"], 100);
    expect(creations.has("a", 100)).toBe(false);
  });

  it("holds a run that may still be created by an earlier request", () => {
    const creations = new OpenCreations(3_000);
    creations.asked(["a"]);
    creations.answered(["a"], 100);
    expect([creations.at(3_099), creations.at(3_100)]).toEqual([["a"], []]);
  });

  it("holds a run for longer whose request has failed, as it is made again", () => {
    const creations = new OpenCreations(3_000);
    creations.asked(["a"]);
    creations.failed(["a"], 100);
    expect([creations.has("a", 60_000), creations.has("a", 70_000)]).toEqual([true, false]);
  });
});
