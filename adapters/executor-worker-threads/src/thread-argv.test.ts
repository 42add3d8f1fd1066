import { expect, it } from "vitest";
import { threadArgv } from "./thread-argv.js";

it("threads inherit everything, unless the process runs a text", () => {
  expect(threadArgv([])).toBeUndefined();
  expect(threadArgv(["--import", "tsx", "--max-old-space-size=100"])).toBeUndefined();
});

it("of a process that runs a text, threads inherit what concerns modules", () => {
  const argv = ["--import", "./a.mjs", "-C", "dev", "--max-old-space-size=100", "--input-type=module", "--eval", "1"];
  expect(threadArgv(argv)).toEqual(["--import", "./a.mjs", "-C", "dev"]);
  expect(threadArgv(["--require=./a.cjs", "-e", "1"])).toEqual(["--require=./a.cjs"]);
});
