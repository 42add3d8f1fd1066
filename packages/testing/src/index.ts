// Test pipelines
export {
  createTestEngine,
  type Goal,
  type RunReference,
  type TestEngine,
  type TestEngineOptions,
} from "./test-engine.js";
export { errorThenValue, inTurn, type MockContext, type MockFunction } from "./mocks.js";
export type { ByTask } from "./run-assertions.js";
export { VirtualClock } from "./virtual-clock.js";
export type { Moment } from "./moments.js";

// Prove an adapter
export { type StorageContractOptions, storageContract } from "./storage-contract.js";
export { type ExecutorContractOptions, executorContract } from "./executor-contract.js";
export { type SchedulerContractOptions, schedulerContract } from "./scheduler-contract.js";
export type { ContractOptions, SkippedCase } from "./contract-case.js";

// Prove an engine's history
export {
  type CheckOptions,
  checkGrowth,
  checkHistory,
  finalStateOf,
  type Growth,
  type GrowthOptions,
  hashOf,
  historiesOf,
  historyOf,
  openWitnessFile,
  parseWitness,
  type Recording,
  type RecordingOptions,
  recordingStorage,
  type Series,
  shapeOf,
  shapeOfDefinition,
  shapesOf,
  type StoredHistory,
  type Verdict,
  type WitnessFile,
} from "./history-checker.js";
export type * from "./history-checker/history.js";
export type { Coverage } from "./history-checker/coverage.js";
export type { Exhibit, Violation } from "./history-checker/report.js";

// Simulate faults
export {
  type FaultyStorage,
  type FaultyStorageOptions,
  faultyStorage,
  NO_FAULTS,
  refusingStorage,
  type StorageFaultKind,
  type StorageFaults,
} from "./faults.js";
export {
  addExercised,
  type Edition,
  type Exercised,
  type Mutations,
  neverExercised,
  type Problem,
  type SimulateOptions,
  type Simulated,
  shrink,
  simulate,
  simulateWorld,
  type World,
} from "./simulator.js";
