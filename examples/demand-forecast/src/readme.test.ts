import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { toMermaid } from "weftline";
import { demandForecast } from "./pipeline.js";

it("README.md draws the pipeline as it is", async () => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  expect(readme).toContain(`\`\`\`mermaid\n${toMermaid(demandForecast).trim()}\n\`\`\``);
});
