import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { EXECUTORS, type ExecutorName } from "./executors.js";
import { runBatch } from "./run-batch.js";

const folder = mkdtempSync(join(tmpdir(), "image-batch-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Workers import the built pipeline, as they do when the example runs. */
const module = new URL("../dist/pipeline.js", import.meta.url);
const batch = { module, photographs: ["acanthus-mollis", "nagasaki-boats"], widths: [120, 60] };

it("makes the same files on every executor", async () => {
  const made: Record<string, readonly string[]> = {};
  for (const executor of Object.keys(EXECUTORS) as ExecutorName[]) {
    const here = join(folder, executor);
    const { photographs } = await runBatch({ ...batch, executor, folder: here });
    made[executor] = photographs.flatMap(({ images }) => images.map(({ file, sha256 }) => `${file} ${sha256}`));
    expect(readdirSync(here).sort()).toEqual(
      ["acanthus-mollis-120.jpg", "acanthus-mollis-60.jpg", "index.html", "nagasaki-boats-120.jpg"].concat(
        "nagasaki-boats-60.jpg",
      ),
    );
    expect(readFileSync(join(here, "index.html"), "utf8")).toContain("2 photographs");
  }
  expect(made.threads).toEqual(made["in-process"]);
  expect(made.processes).toEqual(made["in-process"]);
}, 30_000);
