import { expect, it } from "vitest";
import { crash } from "./run-command.js";

it("engines that are killed, paused and stopped: others end all their runs, once, and what clients were told holds", async () => {
  const connection = process.env.WEFTLINE_TEST_POSTGRES!;
  const { code, output } = await crash("--postgres", "--minutes", "0.25", "--connection", connection);
  console.log(output.trim());
  expect(code, output).toBe(0);
}, 120_000);
