import { type EngineEvents, EVENT_NAMES, type EventHub } from "../events.js";
import type { NamedEvent } from "./run-handle.js";

/** How many events may wait for a slow reader; then the oldest are dropped, as a reader must not hold up the engine. */
const MAX_WAITING = 10_000;

/** The events of one run from now on, as an async iterator that ends with the run, or when the reader leaves. */
export function runEvents(hub: EventHub, runId: string, ended: Promise<unknown>): AsyncGenerator<NamedEvent> {
  const waiting: NamedEvent[] = [];
  let wake: () => void = () => {};
  let isOver = false;
  const unsubscribe = EVENT_NAMES.map((name) =>
    hub.on(name, (event: EngineEvents[typeof name]) => {
      if (event.runId !== runId) return;
      if (waiting.length === MAX_WAITING) waiting.shift();
      waiting.push({ name, ...event } as NamedEvent);
      wake();
    }),
  );
  const leave = () => {
    isOver = true;
    for (const off of unsubscribe) off();
    wake();
  };
  // Here, not in the generator, which does nothing until it is read.
  ended.then(leave, leave);
  return read();

  async function* read(): AsyncGenerator<NamedEvent> {
    try {
      while (!isOver || waiting.length > 0) {
        while (waiting.length > 0) yield waiting.shift()!;
        if (!isOver) await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      leave();
    }
  }
}
