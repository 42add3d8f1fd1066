import type { HistoryEvent } from "@weftline/testing";
import type { Stall } from "./stalls.js";

/** A stretch of time in which an engine's event loop was blocked on purpose, while its lease was to be held by a thread. */
export type Block = Stall;

/** @returns From when until when. */
export function blockEventLoop(ms: number): Omit<Block, "engine"> {
  const from = Date.now();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  return { from, to: Date.now() };
}

/** The harness itself did not run for so long: then a thread may not have run either. In milliseconds. */
const STARVED_MS = 400;

export interface Outlived {
  /** Blocks during which the lease was renewed again and again. */
  readonly outlived: number;
  readonly problems: readonly string[];
}

/**
 * Each block is longer than the lease: one that a thread renews holds all the same, and nobody takes over.
 *
 * @param nameOf - The name of an engine in the blocks, by its id.
 * @param starved - Stretches of time in which the machine was too busy for anything.
 */
export function outlivedBlocks(
  history: readonly HistoryEvent[],
  blocks: readonly Block[],
  nameOf: (engineId: string) => string,
  starved: readonly Omit<Stall, "engine">[],
): Outlived {
  let outlived = 0;
  const problems: string[] = [];
  for (const { engine, from, to } of blocks) {
    const changes = history.filter(
      (event) => event.type === "lease" && nameOf(event.engine) === engine && event.at >= from && event.at <= to,
    );
    const isLost = changes.some((event) => event.type === "lease" && event.change !== "renewed");
    const wasStarved = starved.some(
      (stall) => stall.to - stall.from > STARVED_MS && stall.from <= to && stall.to >= from,
    );
    if (changes.length > 0 && !isLost) outlived++;
    else if (!wasStarved) problems.push(`${engine} was blocked for ${to - from} ms, and its lease did not hold`);
  }
  return { outlived, problems };
}
