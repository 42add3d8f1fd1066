import { NO_FAULTS, type StorageFaults } from "../faults.js";
import { Dice } from "./dice.js";
import { drawMore } from "./draw-more.js";
import { drawPipeline } from "./draw-pipeline.js";
import type { CallSpec, MishapKind, MishapSpec, PipelineSpec, RunSpec, SlotSpec, World } from "./world.js";

/** What is drawn has grown; with an older edition a seed gives the world that it stood for then. */
export type Edition = 1 | 2;
const NEWEST_EDITION: Edition = 2;

/** Everything there is to a seed. */
export function drawWorld(seed: number, edition: Edition = NEWEST_EDITION): World {
  const world = drawFirst(seed);
  return edition === 1 ? world : drawMore(world, new Dice(seed).fork("more"));
}

function drawFirst(seed: number): World {
  const dice = new Dice(seed);
  const leaseMs = dice.pick([3_000, 5_000, 10_000]);
  const faultsMs = dice.int(15, 60) * 1_000;
  const slots = drawSlots(dice.fork("slots"), faultsMs);
  const pipelines = drawPipelines(dice.fork("pipelines"));
  const runs = drawRuns(dice.fork("runs"), pipelines, slots.length, faultsMs);
  return {
    seed,
    slots,
    leaseMs,
    pollMs: dice.pick([500, 1_000, 2_000]),
    quarantineAfter: dice.chance(0.3) ? 3 : 50,
    latencyMs: dice.pick([0, 1, 5, 50]),
    durable: dice.chance(0.5),
    notify: dice.chance(0.6),
    faults: drawFaults(dice.fork("faults")),
    faultsMs,
    pipelines,
    runs,
    calls: drawCalls(dice.fork("calls"), runs, slots.length, faultsMs),
    mishaps: drawMishaps(dice.fork("mishaps"), { slots: slots.length, leaseMs, faultsMs }),
  };
}

function drawSlots(dice: Dice, faultsMs: number): SlotSpec[] {
  const maxSkewMs = dice.pick([0, 0, 50, 500, 3_000]);
  return dice.times(dice.pick([1, 2, 2, 3, 3, 4, 5]), (place) => ({
    startsAt: place === 0 || dice.chance(0.7) ? dice.int(0, 200) : dice.int(0, faultsMs / 2),
    skewMs: dice.int(-maxSkewMs, maxSkewMs),
    concurrency: dice.pick([1, 2, 4, 64]),
  }));
}

function drawFaults(dice: Dice): StorageFaults {
  if (dice.chance(0.2)) return NO_FAULTS;
  const part = (max: number) => (dice.chance(0.5) ? 0 : dice.random() * max);
  return { slow: part(0.1), error: part(0.1), lostReply: part(0.15), stuck: part(0.01), lostHint: part(1) };
}

function drawPipelines(dice: Dice): PipelineSpec[] {
  return dice.times(dice.int(1, 3), (place) => drawPipeline(dice.fork(String(place)), `p${place}`));
}

function drawRuns(dice: Dice, pipelines: readonly PipelineSpec[], slots: number, faultsMs: number): RunSpec[] {
  return dice.times(dice.int(1, 6), (place) => ({
    token: `tok${place}x${dice.int(1_000, 9_999)}`,
    pipeline: dice.int(0, pipelines.length - 1),
    at: dice.chance(0.5) ? dice.int(0, 1_000) : dice.int(0, faultsMs),
    slot: dice.int(0, slots - 1),
    key: dice.chance(0.5) ? `key${place}` : undefined,
    priority: dice.pick([0, 0, 0, 1, 5]),
  }));
}

function drawCalls(dice: Dice, runs: readonly RunSpec[], slots: number, faultsMs: number): CallSpec[] {
  const kinds = { cancel: 2, pause: 2, resume: 2, rerun: 2, signal: 3, "trigger-again": 2, "trigger-other": 1 };
  return dice.times(dice.pick([0, 0, 1, 2, 4]), () => {
    const run = dice.pick(runs);
    const at = Math.min(faultsMs, run.at + dice.int(1, 30_000));
    return { at, kind: dice.weighted(kinds), token: run.token, slot: dice.int(0, slots - 1), task: dice.int(0, 20) };
  });
}

interface Scene {
  readonly slots: number;
  readonly leaseMs: number;
  readonly faultsMs: number;
}

function drawMishaps(dice: Dice, { slots, leaseMs, faultsMs }: Scene): MishapSpec[] {
  const hasSteps = dice.chance(0.3);
  const kinds: Record<MishapKind, number> = {
    kill: dice.pick([0, 2, 6]),
    pause: dice.pick([0, 2, 6]),
    partition: dice.pick([0, 0, 2]),
    "clock-step": hasSteps ? 4 : 0,
    stop: dice.pick([0, 1, 2]),
    deploy: dice.pick([0, 0, 1]),
  };
  if (Object.values(kinds).every((weight) => weight === 0)) return [];
  const mishaps = dice.times(dice.int(0, 8), () => ({
    at: dice.int(100, faultsMs),
    kind: dice.weighted(kinds),
    slot: dice.int(0, slots - 1),
    forMs: dice.chance(0.5) ? dice.int(50, leaseMs) : dice.int(leaseMs, 3 * leaseMs),
    byMs: dice.pick([-1, 1]) * dice.int(500, 4 * leaseMs),
  }));
  // A clock that is set while its process stands still: what it believes of its lease must not depend on it.
  const paused = mishaps.filter(({ kind }) => kind === "pause");
  const steps = !hasSteps
    ? []
    : paused.map(({ at, slot, forMs }) => {
        return { at: at + Math.floor(forMs / 2), kind: "clock-step" as const, slot, forMs: 0, byMs: -forMs };
      });
  return [...mishaps, ...steps].sort((a, b) => a.at - b.at);
}
