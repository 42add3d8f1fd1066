import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";

const read = (path: string) => readFile(new URL(path, import.meta.url), "utf8");
const lines = (text: string) => text.split("\n").filter((line) => line.trim() !== "");

it("docs/write-your-own-adapter.md shows this adapter, whole and as it is", async () => {
  const guide = await read("../../../docs/write-your-own-adapter.md");
  const shown = [...guide.matchAll(/^```ts jsonl-storage\n([\s\S]*?)^```$/gm)].map((match) => match[1]!);
  expect(lines(shown.join("\n"))).toEqual(lines(await read("./jsonl-storage.ts")));
});
