import type { Logger, Pipeline, Storage } from "weftline";
import type { StorageFaultKind } from "../faults.js";
import type { WitnessLine } from "../history-checker/history.js";
import type { OpenCreations } from "./open-creations.js";
import type { SimulatedTime } from "./simulated-time.js";
import type { World } from "./world.js";

/** Changes that make the engine or the store wrong on purpose: the simulator has to find each of them. */
export interface Mutations {
  /** Around the store, as all engines see it. */
  readonly store?: (storage: Storage) => Storage;
  /** Around what one engine sees of it. */
  readonly engine?: (storage: Storage) => Storage;
}

/** A line of the witness as the process gives it: values are hashed by whoever keeps it. */
export type SaidLine = Omit<WitnessLine, "at" | "seq" | "outputHash" | "inputHashes"> & {
  readonly inputs?: Readonly<Record<string, unknown>>;
  /** The output in its stored form. */
  readonly output?: string;
};

/** What the processes of a world share. */
export interface Stage {
  readonly world: World;
  readonly time: SimulatedTime;
  /** The one store, recorded. */
  readonly store: Storage;
  readonly capabilities: Storage["supports"];
  readonly mutations: Mutations;
  readonly log: Logger | undefined;
  /** By engine id: the name of its process. */
  readonly engines: Map<string, string>;
  readonly creations: OpenCreations;
  /** Faults have stopped. */
  readonly isHealing: boolean;
  pipelinesOf(version: number): readonly Pipeline[];
  /** Whether engines of a version have a definition. */
  hasDefinition(version: number, definition: string): boolean;
  /** Counts up. @returns How often this was counted by now. */
  count(name: string): number;
  witness(line: SaidLine): void;
  storageFault(kind: StorageFaultKind, process: string, call: string, lastsMs: number): void;
}
