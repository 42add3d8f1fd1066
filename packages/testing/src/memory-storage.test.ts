import { describe, it } from "vitest";
import { memoryStorage } from "weftline";
import { storageContract } from "./storage-contract.js";
import { MEMORY_STORAGE_SKIPS } from "./test-support/memory-storage-skips.js";

storageContract({ it, describe, open: () => memoryStorage(), skip: MEMORY_STORAGE_SKIPS });
