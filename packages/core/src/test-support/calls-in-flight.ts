import type { Storage } from "../contracts/storage.js";

let inFlight = 0;
let waiting: (() => void)[] = [];

/** Whether all calls of tracked storages have been answered; if not, what to wait for. */
export function callsInFlight(): Promise<void> | undefined {
  if (inFlight === 0) return undefined;
  return new Promise((resolve) => waiting.push(resolve));
}

const trackedStorage = Symbol("tracked");

/** Whether the calls of a storage are counted, also of one that stands before another. */
export function isTracked(storage: Storage): boolean {
  return (storage as { readonly [trackedStorage]?: true })[trackedStorage] === true;
}

/**
 * The storage, with its calls counted while they are under way.
 *
 * @param hides - Members that it does not have.
 */
export function tracked(storage: Storage, hides: readonly (keyof Storage)[] = []): Storage {
  return new Proxy(storage, {
    get(target, name) {
      if (name === trackedStorage) return true;
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
