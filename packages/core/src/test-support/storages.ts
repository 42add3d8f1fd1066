import { it } from "vitest";
import type { Storage } from "../contracts/storage.js";
import { memoryStorage } from "../defaults/memory/memory-storage.js";
import { tracked } from "./calls-in-flight.js";
import { closeAfterTest } from "./nothing-left.js";

/** Makes storages of one kind, each empty. */
export interface StorageKind {
  make(): MadeStorage;
}

interface MadeStorage {
  readonly storage: Storage;
  /** Closes it, and removes what it kept. */
  remove(): Promise<void>;
}

type StorageName = "memory" | "sqlite" | "postgres";

/** Where tests of the engine keep their runs: what an engine does must not depend on it. */
const storageUnderTest = (process.env.WEFTLINE_TEST_STORAGE ?? "memory") as StorageName;

const adapter = await adapterFor(storageUnderTest);

/** Loaded on demand: the core has no need of its adapters otherwise. */
async function adapterFor(name: StorageName): Promise<StorageKind | undefined> {
  switch (name) {
    case "memory":
      return undefined;
    case "sqlite":
      return (await import("./sqlite-storages.js")).sqliteStorages();
    case "postgres":
      return (await import("./postgres-storages.js")).postgresStorages();
  }
}

/** A new, empty storage of the kind under test, which is gone after the test. */
export function testStorage(): Storage {
  if (adapter === undefined) return memoryStorage();
  const { storage, remove } = adapter.make();
  closeAfterTest(remove);
  // That leases are renewed from a thread is for tests of the adapters: it takes real time, and a thread for each engine.
  return tracked(storage, ["holdLease"]);
}

/** How many tasks, or repetitions: a tenth where each costs a round trip to storage. */
export function scaled(inMemory: number): number {
  return storageUnderTest === "memory" ? inMemory : Math.ceil(inMemory / 10);
}

/** A test of what holds on one kind of storage alone. @param reason - Why it does. */
export function onlyOn(
  storage: StorageName,
  reason: string,
): (what: string, test: () => Promise<void>, timeoutMs?: number) => void {
  if (storage === storageUnderTest) return it;
  return (what) => it(what, ({ skip }) => skip(`${storage} alone: ${reason}`));
}
