import { existsSync } from "node:fs";
import type { Logger } from "weftline";
import { Connection } from "./connection.js";
import { refuseLostDatabase, warnOfNetwork } from "./file-guard.js";
import { migrate, refuseNewer, refuseOutdated, versionOf } from "./migrations.js";
import type { Settings } from "./options.js";

/**
 * Opens the database with its schema as it has to be.
 *
 * @throws {WeftlineError} `DRIVER_MISSING`, `STORAGE_INVALID`, `SCHEMA_TOO_NEW`, `SCHEMA_OUTDATED`, `STORAGE_TIMEOUT`
 */
export async function openDatabase(
  settings: Settings,
  { log, mayCreate }: { readonly log: Logger; readonly mayCreate: boolean },
): Promise<Connection> {
  const { file } = settings;
  refuseLostDatabase(file);
  const isAutomatic = settings.migrate === "auto";
  if (mayCreate && !isAutomatic && !existsSync(file)) refuseOutdated(0, file); // nothing is made, not even the file
  const connection = await Connection.open(settings, { mayCreate });
  try {
    const version = await connection.read(() => versionOf(connection));
    refuseNewer(version);
    if (!isAutomatic) refuseOutdated(version, file);
    await connection.begin();
    await migrate(connection);
  } catch (error) {
    connection.close();
    throw error;
  }
  await warnOfNetwork(file, log);
  sayDurability(settings, log);
  return connection;
}

function sayDurability({ durability, file }: Settings, log: Logger): void {
  if (durability === "full") return;
  const details = { code: "DURABILITY_RELAXED", file, durability };
  if (durability === "off") log.warn(details, "a power loss may damage the database: durability is off");
  else log.info(details, "a power loss may take the last commits: durability is normal");
}
