import type { Storage } from "../contracts/storage.js";

let inFlight = 0;
let waiting: (() => void)[] = [];

/** Whether all calls of tracked storages have been answered; if not, what to wait for. */
export function callsInFlight(): Promise<void> | undefined {
  if (inFlight === 0) return undefined;
  return new Promise((resolve) => waiting.push(resolve));
}

/** The storage, with its calls counted while they are under way. */
export function tracked(storage: Storage, hides: readonly (keyof Storage)[] = []): Storage {
  return new Proxy(storage, {
    get(target, name) {
      if (hides.includes(name as keyof Storage)) return undefined;
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) => counted(() => member.apply(target, args));
    },
  });
}

async function counted(call: () => unknown): Promise<unknown> {
  inFlight++;
  try {
    return await call();
  } finally {
    if (--inFlight === 0) {
      const resolves = waiting;
      waiting = [];
      for (const resolve of resolves) resolve();
    }
  }
}
