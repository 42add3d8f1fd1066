import type { Storage } from "weftline";

/** The calls that change what is stored, or hold it. */
const WRITES: ReadonlySet<string | symbol> = new Set<keyof Storage>([
  "open",
  "close",
  "renewLease",
  "releaseLease",
  "createRuns",
  "claimRuns",
  "commit",
  "remapRun",
  "send",
  "sendSignals",
  "receive",
  "putDefinitions",
  "putSchedules",
  "fire",
  "deleteRun",
  "prune",
]);

export interface Call {
  readonly method: string;
  readonly args: readonly unknown[];
  readonly answer: unknown;
}

/**
 * A storage with a failpoint before each call that writes, and one after it, before its caller hears of it.
 *
 * @param onCall - Hears of each that was answered, before that second failpoint and before anything else is called.
 */
export function failpointStorage(
  storage: Storage,
  pass: (point: string) => void,
  onCall: (call: Call) => void = () => {},
): Storage {
  return new Proxy(storage, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      if (!WRITES.has(name)) return member.bind(target);
      const method = String(name);
      return async (...args: unknown[]) => {
        pass(`${method} before`);
        const answer: unknown = await member.apply(target, args);
        onCall({ method, args, answer });
        pass(`${method} after`);
        return answer;
      };
    },
  });
}
