import { execFile } from "node:child_process";
import { symlinkSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { readOptions } from "./options.js";
import { newFile } from "./test-support/store.js";

const read = () => readFile(new URL("../README.md", import.meta.url), "utf8");

it("the README's sample runs as pasted, from the built package", async () => {
  const sample = /^```ts\n([\s\S]*?)^```$/m.exec(await read())![1]!;
  const cwd = dirname(newFile());
  symlinkSync(fileURLToPath(new URL("../../../node_modules", import.meta.url)), join(cwd, "node_modules"), "junction");
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", sample], { cwd });
  expect(stdout).toBe("{ total: 3 }\n[ 'succeeded' ]\n");
});

it("the README names every option", async () => {
  const named = [...(await read()).matchAll(/^\| `(\w+)` +\| +(?:`"\w+"`)? +\| /gm)].map((match) => match[1]);
  const { busyTimeoutMs: _, ...settings } = readOptions({ file: "a.db" });
  expect(named.sort()).toEqual([...Object.keys(settings), "busyTimeout"].sort());
});
