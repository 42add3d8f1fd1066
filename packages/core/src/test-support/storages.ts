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
export const storageUnderTest = (process.env.WEFTLINE_TEST_STORAGE ?? "memory") as StorageName;

const kind = await kindOf(storageUnderTest);

async function kindOf(name: StorageName): Promise<StorageKind> {
  switch (name) {
    case "memory":
      return { make: () => ({ storage: memoryStorage(), remove: async () => undefined }) };
    case "slow" as never:
      return (await import("./slow-storages.js")).slowStorages();
    case "sqlite":
      return (await import("./sqlite-storages.js")).sqliteStorages();
    case "postgres":
      return (await import("./postgres-storages.js")).postgresStorages();
  }
}

/** A new, empty storage of the kind under test, which is gone after the test. */
export function testStorage(): Storage {
  if (storageUnderTest === "memory") return memoryStorage();
  const { storage, remove } = kind.make();
  closeAfterTest(remove);
  // That leases are renewed from a thread is for tests of the adapters: it takes real time, and a thread for each engine.
  return tracked(storage, ["holdLease"]);
}

/** How often a test with chance in it is repeated: less often where each time costs more. */
export function timesOnStorage(timesInMemory: number): number {
  return storageUnderTest === "memory" ? timesInMemory : Math.ceil(timesInMemory / 10);
}

/** A test of what holds on one kind of storage alone. @param reason - Why it does. */
export function onlyOn(storage: StorageName, reason: string): (what: string, test: () => Promise<void>) => void {
  if (storage === storageUnderTest) return it;
  return (what) => it(what, ({ skip }) => skip(`${storage} alone: ${reason}`));
}
