import type { Problem } from "@weftline/testing";
import type { Replacements } from "./bundle.mjs";
import type * as bundled from "./bundled.js";

export interface Mutation {
  readonly name: string;
  /** What is wrong. */
  readonly what: string;
  /** `undefined`: it is made by a wrapper around the storage. */
  readonly source?: Replacements;
}

export type Simulator = typeof bundled;

export const MUTATIONS: readonly Mutation[];

export function findMutation(
  simulator: Simulator,
  clean: Simulator,
  mutation: Mutation,
  maxSeeds?: number,
): Promise<{ readonly seed: number; readonly problem: Problem } | undefined>;
