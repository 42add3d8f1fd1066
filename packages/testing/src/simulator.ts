import type { Evidence } from "./history-checker/history.js";
import { drawWorld, type Edition } from "./simulator/draw-world.js";
import { type Exercised, exercisedBy } from "./simulator/exercised.js";
import { judge, type Problem } from "./simulator/judge.js";
import { type PlayOptions, play } from "./simulator/simulation.js";
import type { World } from "./simulator/world.js";

export interface SimulateOptions extends PlayOptions {
  /**
   * Worlds have more in them with each edition. A seed gives the world that it stood for when it was found, with the
   * edition of then. Default: the newest.
   */
  readonly edition?: Edition;
}

/** What came of one simulated world. */
export interface Simulated {
  readonly world: World;
  /** Empty when all is well. */
  readonly problems: readonly Problem[];
  readonly exercised: Exercised;
  readonly evidence: Evidence;
  /** All that happened, in order, as text: the same world gives the same text. */
  readonly transcript: string;
}

/**
 * Runs the real engine, one to five of them on one storage, in a world that is drawn from the seed: random pipelines,
 * runs and faults, in virtual time. First comes safety under faults; then they stop, and everything has to come to its
 * end, as it would have without them.
 *
 * @param seed - Any integer; its low 32 bits count. The same seed gives the same history.
 */
export function simulate(seed: number, options: SimulateOptions = {}): Promise<Simulated> {
  return simulateWorld(drawWorld(seed, options.edition), options);
}

/** As {@link simulate}, with a world that is given. */
export async function simulateWorld(world: World, options: PlayOptions = {}): Promise<Simulated> {
  const played = await play(world, options);
  const { problems, verdict } = await judge(played);
  const { evidence } = played;
  return {
    world,
    problems,
    exercised: exercisedBy(played, verdict),
    evidence,
    get transcript() {
      const { history, witness, clients, faults } = evidence;
      return [...history, ...witness, ...clients, ...faults].map((line) => JSON.stringify(line)).join("\n");
    },
  };
}

export type { Edition } from "./simulator/draw-world.js";
export { addExercised, type Exercised, neverExercised } from "./simulator/exercised.js";
export type { Problem } from "./simulator/judge.js";
export { shrink } from "./simulator/shrink.js";
export type { Mutations } from "./simulator/stage.js";
export type { World } from "./simulator/world.js";
