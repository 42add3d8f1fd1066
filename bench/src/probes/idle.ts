import { createHook } from "node:async_hooks";
import { pause } from "./clock.js";

/** What an engine keeps going that has nothing to do, at two moments of its life. */
export interface IdleSample {
  readonly started: Timers;
  readonly afterRun: Timers;
}

interface Timers {
  /** Those that keep the process alive, as `process.getActiveResourcesInfo()` lists them. */
  readonly active: number;
  /** All that still wait, those included that let the process end. */
  readonly all: number;
}

const SETTLE_MS = 200;

/** Looks at an engine after its start and after a run. It is left as it is: the process ends if the engine lets it. */
export async function idleProbe(): Promise<IdleSample> {
  const timersAtRest = watchTimers();
  const { createEngine, pipeline } = await import("weftline");
  const flow = pipeline("idle", (p) => {
    p.task("only", () => undefined);
  });
  const engine = createEngine({ pipelines: [flow] });
  await engine.start();
  const started = await timersAtRest();
  await engine.run(flow);
  return { started, afterRun: await timersAtRest() };
}

/** Watches every timer that is made from now on. @returns What counts, after a while, those that still wait. */
function watchTimers(): () => Promise<Timers> {
  const open = new Set<number>();
  let isOwn = false;
  const isTimer = (resource: string) => resource === "Timeout" || resource === "Immediate";
  createHook({
    init: (id, type) => void (!isOwn && isTimer(type) && open.add(id)),
    destroy: (id) => void open.delete(id),
  }).enable();
  return async () => {
    isOwn = true;
    const settled = pause(SETTLE_MS);
    isOwn = false;
    await settled;
    return { active: process.getActiveResourcesInfo().filter(isTimer).length, all: open.size };
  };
}
