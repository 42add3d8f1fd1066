import { executorContract } from "@weftline/testing";
import { describe, it } from "vitest";
import { workerThreads } from "./index.js";

executorContract({
  it,
  describe,
  open: () => workerThreads({ module: import.meta.resolve("@weftline/testing/contract-pipelines"), maxThreads: 2 }),
});
