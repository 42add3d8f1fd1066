import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const CLOCK = "weftlineSimulatedNow";

/** The store judges leases by the machine's clock, which has to be the simulated one. */
export const SQLITE_CLOCK = {
  "adapters/storage-sqlite/src/store-clock.ts": [
    ["const { now: dateNow } = Date;", `const dateNow = (): number => (globalThis as never)["${CLOCK}"]();`],
    ["last = Math.max(last, dateNow());", "last = dateNow();"],
  ],
};

/** Makes a store in a file of its own for each world; the files go with the process. */
export function openSqlite({ sqliteStorage }) {
  const folder = mkdtempSync(join(tmpdir(), "weftline-sim-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  let worlds = 0;
  return (now) => {
    globalThis[CLOCK] = now;
    return sqliteStorage({ file: join(folder, `${++worlds}.db`), durability: "off" });
  };
}
