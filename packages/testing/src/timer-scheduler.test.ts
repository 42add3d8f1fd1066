import { describe, it } from "vitest";
import { timerScheduler } from "weftline";
import { schedulerContract } from "./scheduler-contract.js";

schedulerContract({ it, describe, open: () => timerScheduler() });
