/** What a bundle of the simulator exports: with the engine and the storages in it, so that all of them can be mutated. */
export { sqliteStorage } from "../../adapters/storage-sqlite/src/index.js";
export * from "../../packages/testing/src/simulator.js";
export { MUTATED_STORAGES } from "./mutated-storages.js";
