import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { it } from "vitest";

const COMMAND = fileURLToPath(new URL("crash.mjs", import.meta.url));

it("engines that are killed, paused and stopped: others end all their runs, once, and what clients were told holds", async () => {
  const args = ["--postgres", "--minutes", "0.15", "--connection", process.env.WEFTLINE_TEST_POSTGRES!];
  const { stdout } = await promisify(execFile)(process.execPath, [COMMAND, ...args]);
  console.log(stdout.trim());
}, 120_000);
