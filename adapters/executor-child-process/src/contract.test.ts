import { fileURLToPath } from "node:url";
import { executorContract } from "@weftline/testing";
import { describe, it } from "vitest";
import { childProcesses } from "./child-processes.js";

const module = fileURLToPath(new URL("../../../packages/testing/dist/contract-pipelines.js", import.meta.url));

describe("childProcesses() with a pool", () => {
  executorContract({ it, describe, open: () => childProcesses({ module, maxProcesses: 3 }) });
});

describe("childProcesses() with a process for each task", () => {
  executorContract({ it, describe, open: () => childProcesses({ module, mode: "per-task", maxProcesses: 3 }) });
});
