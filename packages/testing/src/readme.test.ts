import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { expect, it } from "vitest";

it("the README's sample runs as pasted, from the built package", async () => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  const sample = /^```ts\n([\s\S]*?)^```$/m.exec(readme)![1]!;
  const cwd = new URL("..", import.meta.url);
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", sample], { cwd });
  expect(stdout).toBe("{ total: 3 }\n31\n");
});
