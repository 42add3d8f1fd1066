import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sqliteStorage } from "@weftline/storage-sqlite";
import type { StorageKind } from "./storages.js";

/** Each in a file of its own. */
export function sqliteStorages(): StorageKind {
  return {
    make() {
      const folder = mkdtempSync(join(tmpdir(), "weftline-engine-"));
      const storage = sqliteStorage({ file: join(folder, "weftline.db"), durability: "normal" });
      return {
        storage,
        async remove() {
          await storage.close();
          rmSync(folder, { recursive: true, force: true });
        },
      };
    },
  };
}
