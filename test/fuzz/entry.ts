import type { Arbitrary } from "fast-check";
import type { Case } from "./cases.js";
import type { World } from "./world.js";

/** One way into the library, and what to call it with. */
export interface Entry {
  /** `weftline.cron`, `Engine.trigger`, `Builder.map`, `TaskContext.step` …; several may have the same one. */
  readonly name: string;
  /** Its arguments by their names, in order. */
  readonly args: Readonly<Record<string, Arbitrary<Case>>>;
  /** Calls it. What it gives back is awaited; a text that it gives as `leak` is judged as a message. */
  readonly call: (world: World, ...args: never[]) => unknown;
  /** Words besides the names of its arguments by which a plain error may name one. */
  readonly alsoNamed?: readonly string[];
}

/** What came back as data is for people as well: a report of what failed. */
export class Told {
  constructor(readonly text: string) {}
}

export function entry(
  name: string,
  args: Entry["args"],
  call: (world: World, ...args: never[]) => unknown,
  alsoNamed: readonly string[] = [],
): Entry {
  return { name, args, call, alsoNamed };
}
