import { NO_FAULTS } from "../faults.js";
import type { NodeSpec, PipelineSpec, World } from "./world.js";

/** Plays a world. @returns Whether it still shows what is looked for. */
export type StillFails = (world: World) => Promise<boolean>;

/**
 * Makes a world that fails smaller for as long as it goes on failing: fewer engines, runs, tasks and faults.
 *
 * @param maxPlays - How often it may be played. Default: 150.
 */
export async function shrink(world: World, stillFails: StillFails, maxPlays = 150): Promise<World> {
  let smallest = world;
  let plays = 0;
  for (let hasShrunk = true; hasShrunk; ) {
    hasShrunk = false;
    for (const smaller of reductions(smallest)) {
      if (plays++ >= maxPlays) return smallest;
      if (!(await stillFails(smaller))) continue;
      smallest = smaller;
      hasShrunk = true;
      break;
    }
  }
  return smallest;
}

/** Smaller worlds, those with the most left out first. */
function* reductions(world: World): Generator<World> {
  const { runs, calls, mishaps, pipelines, slots, faults } = world;
  for (const part of halves(runs)) yield { ...world, runs: part };
  for (const part of halves(mishaps)) yield { ...world, mishaps: part };
  if (calls.length > 0) yield { ...world, calls: [] };
  if (slots.length > 1) yield withoutSlot(world, slots.length - 1);
  for (let place = 0; place < pipelines.length; place++) if (pipelines.length > 1) yield withoutPipeline(world, place);
  for (const kind of Object.keys(faults) as (keyof typeof faults)[]) {
    if ((faults[kind] ?? 0) > 0) yield { ...world, faults: { ...faults, [kind]: NO_FAULTS[kind] } };
  }
  yield* fewerLate(world);
  for (const [place, pipeline] of pipelines.entries()) {
    if (hasCache(pipeline.nodes)) yield withPipeline(world, place, { ...pipeline, nodes: uncached(pipeline.nodes) });
  }
  for (const part of withoutOne(runs)) yield { ...world, runs: part };
  for (const part of withoutOne(mishaps)) yield { ...world, mishaps: part };
  for (const part of withoutOne(calls)) yield { ...world, calls: part };
  for (let slot = 0; slot < slots.length - 1; slot++) yield withoutSlot(world, slot);
  for (const [place, pipeline] of pipelines.entries()) {
    for (const nodes of fewerNodes(pipeline.nodes)) yield withPipeline(world, place, { ...pipeline, nodes });
  }
  if (world.latencyMs > 0) yield { ...world, latencyMs: 0 };
  if (slots.some(({ skewMs }) => skewMs !== 0)) {
    yield { ...world, slots: slots.map((slot) => ({ ...slot, skewMs: 0 })) };
  }
}

function* fewerLate(world: World): Generator<World> {
  const { late, ...rest } = world;
  if (late === undefined) return;
  yield rest;
  for (const methods of [...halves(late.methods), ...withoutOne(late.methods)]) {
    yield { ...world, late: { ...late, methods } };
  }
}

function hasCache(nodes: readonly NodeSpec[]): boolean {
  return nodes.some(({ cache, inside }) => cache !== undefined || hasCache(inside));
}

function uncached(nodes: readonly NodeSpec[]): readonly NodeSpec[] {
  return nodes.map(({ cache: _, ...node }) => ({ ...node, inside: uncached(node.inside) }));
}

function* halves<Item>(items: readonly Item[]): Generator<readonly Item[]> {
  if (items.length < 2) return;
  const middle = items.length >> 1;
  yield items.slice(0, middle);
  yield items.slice(middle);
}

function* withoutOne<Item>(items: readonly Item[]): Generator<readonly Item[]> {
  for (let place = 0; place < items.length; place++) yield items.filter((_, other) => other !== place);
}

/** What concerns the slot goes with it; runs are asked for elsewhere. */
function withoutSlot(world: World, gone: number): World {
  const slots = world.slots.filter((_, place) => place !== gone);
  if (slots.length === 0) return world;
  const moved = <Item extends { readonly slot: number }>(item: Item): Item => {
    return { ...item, slot: item.slot > gone ? item.slot - 1 : Math.min(item.slot, slots.length - 1) };
  };
  return {
    ...world,
    slots,
    runs: world.runs.map(moved),
    calls: world.calls.map(moved),
    mishaps: world.mishaps.filter(({ slot }) => slot !== gone).map(moved),
  };
}

function withoutPipeline(world: World, gone: number): World {
  const left = world.runs.filter(({ pipeline }) => pipeline !== gone);
  return {
    ...world,
    pipelines: world.pipelines.filter((_, place) => place !== gone),
    runs: left.map((run) => ({ ...run, pipeline: run.pipeline > gone ? run.pipeline - 1 : run.pipeline })),
  };
}

function withPipeline(world: World, place: number, changed: PipelineSpec): World {
  return { ...world, pipelines: world.pipelines.map((pipeline, other) => (other === place ? changed : pipeline)) };
}

function* fewerNodes(nodes: readonly NodeSpec[]): Generator<readonly NodeSpec[]> {
  if (nodes.length > 1) for (let gone = nodes.length - 1; gone >= 0; gone--) yield withoutNode(nodes, gone);
  for (const [place, node] of nodes.entries()) {
    for (const inside of fewerNodes(node.inside)) {
      yield nodes.map((other, at) => (at === place ? { ...node, inside } : other));
    }
  }
}

function withoutNode(nodes: readonly NodeSpec[], gone: number): readonly NodeSpec[] {
  return nodes
    .filter((_, place) => place !== gone)
    .map((node) => ({
      ...node,
      upstream: node.upstream.filter((from) => from !== gone).map((from) => (from > gone ? from - 1 : from)),
    }));
}
