import type { Storage } from "weftline";
import type { VirtualClock } from "./virtual-clock.js";

/** A storage for an engine on a virtual clock: time stands still while a call is under way, as it may be real work. */
export function heldStorage(storage: Storage, clock: VirtualClock): Storage {
  return new Proxy(storage, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) => {
        const answer: unknown = member.apply(target, args);
        return answer instanceof Promise ? clock.hold(answer) : answer;
      };
    },
  });
}
