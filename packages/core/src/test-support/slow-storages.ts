import { memoryStorage } from "../defaults/memory/memory-storage.js";
import type { StorageKind } from "./storages.js";
/** Memory that answers late, and seems shared. */
export function slowStorages(): StorageKind {
  return {
    make() {
      const inner = memoryStorage();
      const supports = { ...inner.supports, manyProcesses: true, notify: false, durable: true };
      const storage = new Proxy(inner, {
        get(target, name) {
          if (name === "supports") return supports;
          if (name === "listen") return undefined;
          const member = Reflect.get(target, name) as unknown;
          if (typeof member !== "function") return member;
          return async (...args: unknown[]) => {
            const pause = () => new Promise<void>((r) => setTimeout(r, Math.random() * 2));
            await pause();
            const answer = await member.apply(target, args);
            await pause();
            return answer;
          };
        },
      });
      return { storage, remove: () => inner.close() };
    },
  };
}
