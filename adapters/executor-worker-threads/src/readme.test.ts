import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, expect, it } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "weftline-readme-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const read = () => readFile(new URL("../README.md", import.meta.url), "utf8");

it("the README's sample runs as pasted, from the built package", { timeout: 20_000 }, async () => {
  symlinkSync(fileURLToPath(new URL("../../../node_modules", import.meta.url)), join(folder, "node_modules"));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  for (const [, code, name] of (await read()).matchAll(/^```ts\n(\/\/ (\S+\.js)\n[\s\S]*?)^```$/gm)) {
    writeFileSync(join(folder, name!), code!);
  }
  const { stdout } = await promisify(execFile)(process.execPath, ["main.js"], { cwd: folder });
  expect(stdout).toBe("{ sum: 14 }\n");
});

it("the README names every option", async () => {
  const named = [...(await read()).matchAll(/^\| `(\w+)` +\| .* \| .* \|$/gm)].map(([, name]) => name).sort();
  const source = await readFile(new URL("./options.ts", import.meta.url), "utf8");
  const [declared] = /interface WorkerThreadsOptions \{[\s\S]*?^\}/m.exec(source)!;
  expect(named).toEqual([...declared.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, name]) => name).sort());
});
