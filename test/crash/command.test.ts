import { describe, expect, it } from "vitest";
import { readCommand } from "./command.js";

describe("readCommand()", () => {
  it("does all parts when none is named, else those that are", () => {
    expect(readCommand([])).toMatchObject({ sqlite: true, logCuts: true, postgres: true, minutes: 1 });
    expect(readCommand(["--sqlite"])).toMatchObject({ sqlite: true, logCuts: false, postgres: false });
    expect(readCommand(["--postgres", "--minutes", "0.25"])).toMatchObject({ postgres: true, minutes: 0.25 });
  });

  it("refuses what makes no sense", () => {
    for (const args of [
      ["--minutes", "0"],
      ["--sample", "some"],
      ["--oracle"],
      ["--sabotage", "none"],
      ["--jobs", "-1"],
      ["--sqlite", "--sabotage", "unfenced"],
    ]) {
      expect(readCommand(args), args.join(" ")).toBeUndefined();
    }
  });
});
