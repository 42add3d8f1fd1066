import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { ERROR_CODES } from "weftline";

const read = (path: string) => readFile(new URL(`../${path}`, import.meta.url), "utf8");

it("docs/errors.md has one heading for each code, in the code's order", async () => {
  const headings = [...(await read("docs/errors.md")).matchAll(/^### (.+)$/gm)].map((match) => match[1]);
  expect(headings).toEqual([...ERROR_CODES]);
});

it("the README's sample runs as pasted, from the built package", async () => {
  const sample = /^```ts\n([\s\S]*?)^```$/m.exec(await read("README.md"))![1]!;
  // A folder that depends on weftline, so that the built package is found as an installed one would be.
  const cwd = new URL("../packages/cli", import.meta.url);
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", sample], { cwd });
  expect(stdout).toBe("{ drift: 5.666666666666666, better: true }\n");
});

describe("docs/pipelines.md: each sample runs as pasted and prints what stands below it", async () => {
  const samples = (await read("docs/pipelines.md")).matchAll(
    /^## (.+)$|^```ts\n([\s\S]*?)^```\n\n```text\n([\s\S]*?)^```$/gm,
  );
  let heading = "";
  for (const [, title, sample, printed] of samples) {
    heading = title ?? heading;
    if (sample === undefined) continue;
    it(heading, async () => {
      const cwd = new URL("../packages/cli", import.meta.url);
      const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", sample], {
        cwd,
      });
      expect(stdout).toBe(printed);
    });
  }
});
