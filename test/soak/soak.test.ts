import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));

/** A process of its own, whose memory holds nothing but the soak, on the built packages. */
async function soak(...args: readonly string[]): Promise<{ readonly code: unknown; readonly printed: string }> {
  const loader = new URL("../typescript.mjs", import.meta.url).href;
  const child = spawn(process.execPath, ["--expose-gc", "--import", loader, here("main.ts"), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    // What vitest has for its own workers is not for this one.
    env: { PATH: process.env.PATH, NODE_NO_WARNINGS: "1" },
  });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
    });
  }
  const [code] = await once(child, "close");
  return { code, printed };
}

it("thousands of runs leave nothing behind in a process", async () => {
  const { code, printed } = await soak("--storage", "memory", "--runs", "6000", "--round", "390");
  expect(printed).toMatch(/\nFLAT\n$/);
  expect(code, printed).toBe(0);
  expect(printed).toMatch(/^flat {2}callsPerRun/m);
}, 120_000);

it("the soak finds what is kept of each run", async () => {
  const { code, printed } = await soak("--runs", "3600", "--round", "195", "--leak-bytes", "4000");
  expect(printed).toMatch(/^GREW {2}heapMb/m);
  expect(code, printed).toBe(1);
}, 120_000);

it("the soak says nothing of too few samples, and that is no success", async () => {
  const { code, printed } = await soak("--runs", "10", "--round", "13");
  expect(printed).toMatch(/too few samples/);
  expect(code).toBe(1);
}, 120_000);
