import { describe, it } from "vitest";
import { inProcess } from "weftline";
import { executorContract } from "./executor-contract.js";

executorContract({ it, describe, open: () => inProcess() });
