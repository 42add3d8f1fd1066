import * as v8 from "node:v8";

/** Not in the types of the oldest Node: counts the living objects of a class, after a collection. */
type CountObjects = (of: unknown, options: { format: "count" }) => number;
const countObjects = (v8 as { queryObjects?: CountObjects }).queryObjects;

const Listener = listenerClass();

/** Listeners of living event targets (abort signals among them) and of the process. */
export function listenerCount(): number {
  const onProcess = process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);
  return onProcess + (Listener === undefined ? 0 : counted(Listener));
}

/** Living abort signals, whoever holds them. */
export function signalCount(): number {
  return counted(AbortSignal);
}

function counted(of: unknown): number {
  return countObjects?.(of, { format: "count" }) ?? 0;
}

/** What Node keeps of one listener of an event target; it gives out neither the class nor the number. */
function listenerClass(): unknown {
  const target = new EventTarget();
  target.addEventListener("probe", () => {});
  const symbol = Object.getOwnPropertySymbols(target).find(({ description }) => description === "kEvents");
  const events: unknown = symbol && Reflect.get(target, symbol);
  const root = events instanceof Map ? (events.get("probe") as { next?: object } | undefined) : undefined;
  return root?.next?.constructor;
}
