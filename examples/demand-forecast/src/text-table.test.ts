import { expect, it } from "vitest";
import { textTable } from "./text-table.js";

it("textTable() aligns the first column to the left and the others to the right", () => {
  expect(
    textTable([
      ["task", "runs"],
      ["fetch", "1"],
      ["a", "12345"],
    ]),
  ).toBe(["  task    runs", "  fetch      1", "  a      12345"].join("\n"));
});
