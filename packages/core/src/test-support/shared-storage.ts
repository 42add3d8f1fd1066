import type { Storage } from "../contracts/storage.js";
import { memoryStorage } from "../defaults/memory/memory-storage.js";

/**
 * A storage that engines share as processes do, in memory: they renew leases, look into it again and again, and take
 * each other's runs over. It judges leases by the clock of the engine that opened it last.
 */
export function sharedStorage(inner: Storage = memoryStorage()): Storage {
  return new Proxy(inner, {
    get(target, name) {
      if (name === "supports") return { ...target.supports, manyProcesses: true };
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}
