import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { storageContract } from "@weftline/testing";
import { afterAll, describe, it } from "vitest";
import { sqliteStorage } from "./index.js";

const folder = mkdtempSync(join(tmpdir(), "weftline-sqlite-"));
afterAll(() => rmSync(folder, { recursive: true }));

storageContract({ it, describe, open: (place) => sqliteStorage({ file: join(folder, `${place}.db`) }) });
