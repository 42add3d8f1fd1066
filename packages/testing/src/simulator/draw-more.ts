import { type StorageMethod, WRITING_METHODS } from "../faults.js";
import type { Dice } from "./dice.js";
import type { CallKind, CallSpec, LateSpec, MishapSpec, NodeSpec, PipelineSpec, World } from "./world.js";

/** Shortens what makes runs of one pipeline by the dozen. */
const MAX_SCHEDULED_DELAY_MS = 100;

/**
 * What the second edition adds: calls that are done late, housekeeping, caches, versions that go, schedules that miss
 * instants. Half of all worlds have nothing of it, and are as they were.
 */
export function drawMore(world: World, dice: Dice): World {
  if (dice.chance(0.5)) return world;
  const more = [
    { draw: withLate, chance: 0.4 },
    { draw: withHousekeeping, chance: 0.5 },
    { draw: withCaches, chance: 0.4 },
    { draw: withVersions, chance: 0.45 },
    { draw: withOutages, chance: 0.3 },
  ];
  return more.reduce(
    (grown, { draw, chance }) => (dice.chance(chance) ? draw(grown, dice.fork(draw.name)) : grown),
    world,
  );
}

// ---- Calls that are done after they were reported as failed

function withLate(world: World, dice: Dice): World {
  const methods = dice.chance(0.5) ? WRITING_METHODS : dice.times(dice.int(1, 3), () => dice.pick(WRITING_METHODS));
  const late: LateSpec = {
    part: 0.01 + dice.random() * 0.1,
    methods: [...new Set<StorageMethod>(methods)],
    maxMs: dice.pick([20, 500, 3_000, 10_000]),
  };
  return { ...world, late };
}

// ---- Deleting

function withHousekeeping(world: World, dice: Dice): World {
  const kinds = { delete: 4, "delete-children": 1, prune: 4 } as const;
  const beside = { none: 3, delete: 1, prune: 1, resume: 1, rerun: 1, "trigger-again": 1 };
  const calls = dice.times(dice.int(1, 5), (): CallSpec => {
    const kind = dice.weighted<keyof typeof kinds>(kinds);
    const other = dice.weighted<keyof typeof beside>(beside);
    return {
      ...drawCall(dice, world, kind),
      whenEnded: dice.chance(0.5),
      beside: other === "none" ? undefined : other,
      keepMs: dice.pick([0, 0, 1_000, 10_000]),
    };
  });
  return withCalls(world, [...calls, ...calls.flatMap((call) => drawWaiter(dice, world, call))]);
}

/** Somebody waits for the run's result elsewhere while it ends and is deleted. */
function drawWaiter(dice: Dice, world: World, { token, slot, whenEnded }: CallSpec): CallSpec[] {
  const run = world.runs.find((other) => other.token === token);
  if (!whenEnded || run?.key === undefined) return [];
  return [
    { at: run.at + dice.int(200, 3_000), kind: "trigger-again", token, slot: (slot + 1) % world.slots.length, task: 0 },
  ];
}

function drawCall(dice: Dice, { runs, slots, faultsMs }: World, kind: CallKind): CallSpec {
  const run = dice.pick(runs);
  const at = Math.min(faultsMs, run.at + dice.int(1, 30_000));
  return { at, kind, token: run.token, slot: dice.int(0, slots.length - 1), task: dice.int(0, 20) };
}

function withCalls(world: World, calls: readonly CallSpec[]): World {
  return { ...world, calls: [...world.calls, ...calls] };
}

// ---- Caches

function withCaches(world: World, dice: Dice): World {
  const cached = (nodes: readonly NodeSpec[]): NodeSpec[] =>
    nodes.map((node) => {
      const inside = cached(node.inside);
      const isCached = (node.kind === "task" || node.kind === "map") && dice.chance(0.6);
      const cache = { ttlMs: dice.pick([200, 2_000, 10_000, 60_000]), keys: dice.int(1, 2) };
      return isCached ? { ...node, inside, cache } : { ...node, inside };
    });
  return withPipelines(world, (spec) => ({ ...spec, nodes: cached(spec.nodes) }));
}

function withPipelines(world: World, change: (spec: PipelineSpec) => PipelineSpec): World {
  return { ...world, pipelines: world.pipelines.map(change) };
}

// ---- Versions

function withVersions(world: World, dice: Dice): World {
  const deploys = dice.times(dice.int(1, 2), () => drawDeploy(dice, world)).flat();
  const firstAt = Math.min(...deploys.map(({ at }) => at));
  // Those that begin later are of the version that is there, as a rule.
  const earlier = world.runs.filter(({ at }) => at < firstAt);
  const former = earlier.length === 0 ? world : { ...world, runs: earlier };
  const calls = dice.times(dice.int(2, 6), () => ({
    ...drawCall(dice, former, dice.chance(0.8) ? "remap" : "resume"),
    at: Math.min(world.faultsMs, firstAt + dice.int(200, 20_000)),
    whenEnded: dice.chance(0.3),
    isAwaited: true,
    beside: dice.chance(0.25) ? dice.pick(["remap", "resume", "cancel"] as const) : undefined,
  }));
  const addsFirst = dice.chance(0.5);
  const dropsVersions = dice.chance(0.5);
  // Runs are carried over seldom enough for this to need help.
  const isLate = world.late === undefined && dice.chance(0.3);
  const late: LateSpec = { part: 0.4, methods: ["remapRun"], maxMs: dice.pick([60, 300, 2_000]) };
  const grown = withPipelines(withCalls(world, calls), (spec) => ({ ...spec, addsFirst }));
  return { ...withMishaps(grown, deploys), dropsVersions, ...(isLate && { late }) };
}

/** Of one engine, or of all one after the other, so that nobody has the version before. */
function drawDeploy(dice: Dice, { slots, faultsMs }: World): MishapSpec[] {
  const first = dice.int(500, dice.chance(0.6) ? 8_000 : faultsMs);
  const gapMs = dice.int(100, 2_000);
  const deploy = (slot: number, at: number): MishapSpec => {
    return { at: Math.min(at, faultsMs), kind: "deploy", slot, forMs: dice.int(50, 1_000), byMs: 0 };
  };
  if (dice.chance(0.3)) return [deploy(dice.int(0, slots.length - 1), first)];
  return slots.map((_, slot) => deploy(slot, first + slot * gapMs));
}

function withMishaps(world: World, mishaps: readonly MishapSpec[]): World {
  return { ...world, mishaps: [...world.mishaps, ...mishaps].sort((a, b) => a.at - b.at) };
}

// ---- Schedules that miss several instants

/** All engines stand still for a while: nobody is there to fire. */
function withOutages(world: World, dice: Dice): World {
  const at = dice.int(5_000, 15_000);
  const outage = world.slots.map((_, slot): MishapSpec => {
    return { at: at + dice.int(0, 500), kind: "pause", slot, forMs: dice.int(6_000, 25_000), byMs: 0 };
  });
  const grown = withPipelines(world, (spec) => {
    if (spec.everyMs === undefined) return spec;
    const nodes = spec.nodes.map(hurried);
    return { ...spec, nodes, everyMs: dice.pick([3_000, 5_000]), maxActiveRuns: dice.pick([undefined, 1, 2]) };
  });
  return withMishaps(grown, outage);
}

/** Runs that took longer than from one to the next would pile up for ever. */
function hurried(node: NodeSpec): NodeSpec {
  const { retry } = node;
  if (retry === undefined) return node;
  return { ...node, retry: { ...retry, delayMs: Math.min(retry.delayMs, MAX_SCHEDULED_DELAY_MS) } };
}
