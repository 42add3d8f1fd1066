import { describe, it } from "vitest";
import { memoryStorage } from "weftline";
import { storageContract } from "./storage-contract.js";

storageContract({ it, describe, open: () => memoryStorage() });
