import type { Flushed, FlushedRun, StateLoaded } from "@weftline/testing";
import { type Answer, type Asked, keyOf } from "./asked.js";
import type { Unnumbered } from "./audited-history.js";

/**
 * Puts what only engines saw among what the database wrote: refused flushes before the next one of the same engine, and
 * what a new owner read behind its claim.
 *
 * An owner reads before it writes, and only it writes. So nothing can have been written of the run between the claim and
 * the reading, unless somebody else had taken the run over by then: of a reading that may have been later than that, and
 * of a refusal after which its engine wrote nothing more, no place can be told, and they are left out.
 */
export function placeCalls(events: readonly Unnumbered[], asked: Asked): readonly Unnumbered[] {
  const refused = new Map(asked.refused.map(({ answer, next }) => [next, answer]));
  const loaded = new Map(asked.loaded.map((line) => [`${line.runId} ${line.engine} ${line.epoch}`, line]));
  const next = nextChanges(events);
  const placed: Unnumbered[] = [];
  for (const [place, event] of events.entries()) {
    if (event.type === "flushed" && event.flush !== undefined) {
      const answer = refused.get(keyOf(event.engine, event.flush));
      if (answer) placed.push(rejectedEvent(answer));
    }
    placed.push(event);
    if (event.type !== "claimed") continue;
    const { runId, engine, epoch } = event;
    const line = loaded.get(`${runId} ${engine} ${epoch}`);
    const then = next[place];
    const isOwn = then === undefined || (then.type === "flushed" && then.engine === engine);
    if (line === undefined || !(isOwn || then.at > line.at)) continue;
    placed.push({ type: "loaded", runId, tasks: line.tasks, at: line.at } satisfies Unnumbered<StateLoaded>);
  }
  return placed;
}

/** By the place of an event about one run: what next claims or writes that run. */
function nextChanges(events: readonly Unnumbered[]): readonly (Unnumbered | undefined)[] {
  const later = new Map<string, Unnumbered>();
  const next: (Unnumbered | undefined)[] = [];
  for (let place = events.length - 1; place >= 0; place--) {
    const event = events[place]!;
    if (event.type === "claimed") {
      next[place] = later.get(event.runId);
      later.set(event.runId, event);
    } else if (event.type === "flushed") {
      for (const { runId, fenced } of event.runs) if (!fenced) later.set(runId, event);
    }
  }
  return next;
}

function rejectedEvent({ engine, flush, at, rejected = [], whole = [] }: Answer): Unnumbered<Flushed> {
  const runs = whole.map(({ runId, epoch, run, tasks, attempts, steps, consumed, logs }): FlushedRun => {
    return { runId, epoch, fenced: false, run, tasks, attempts, steps, consumed, logs: logs.length };
  });
  return { type: "flushed", flush, engine, outcome: "rejected", runs, rejected, sends: 1, at };
}
