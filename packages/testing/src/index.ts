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
