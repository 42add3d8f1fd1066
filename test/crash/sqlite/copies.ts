import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sqliteStorage } from "@weftline/storage-sqlite";
import type { Storage } from "weftline";
import { MARKER } from "../pipeline.js";
import { type StoredRun, storedRuns, withStorage } from "../stored-runs.js";
import { DATABASE } from "./host-options.js";

/** A new folder for one case. */
export function newFolder(): string {
  return mkdtempSync(join(tmpdir(), "weftline-crash-"));
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

/**
 * Copies a database and its log, as somebody does who moves files while no process has them open.
 *
 * @param logBytes - To what length the copy of the log is cut; `undefined`: it is whole.
 */
export function copyDatabase(from: string, to: string, logBytes?: number): void {
  mkdirSync(to, { recursive: true });
  for (const suffix of ["", "-wal"]) {
    const source = join(from, DATABASE + suffix);
    if (existsSync(source)) copyFileSync(source, join(to, DATABASE + suffix));
  }
  const log = join(to, `${DATABASE}-wal`);
  if (logBytes !== undefined && existsSync(log)) truncateSync(log, logBytes);
}

/** Copies what tasks have left behind outside of the storage. */
export function copyMarkers(from: string, to: string): void {
  for (const name of readdirSync(from).filter((name) => name.startsWith(MARKER))) {
    copyFileSync(join(from, name), join(to, name));
  }
}

/** What is stored in a folder, whose files stay as they are; nothing where there is no database. */
export async function storedIn(folder: string): Promise<readonly StoredRun[]> {
  return (await withCopy(folder, storedRuns)) ?? [];
}

/** Lets `work` read a copy of what is in a folder. @returns `undefined`: there is no database. */
export async function withCopy<Value>(
  folder: string,
  work: (storage: Storage, file: string) => Promise<Value>,
): Promise<Value | undefined> {
  if (!existsSync(join(folder, DATABASE))) return undefined;
  const copy = newFolder();
  try {
    copyDatabase(folder, copy);
    const file = join(copy, DATABASE);
    return await withStorage(sqliteStorage({ file }), (storage) => work(storage, file));
  } finally {
    removeFolder(copy);
  }
}
