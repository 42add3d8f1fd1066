// For executors that run task code in another thread or process: `weftline/remote`.

export { LentResources, type ResourcesOption } from "./execute/resources.js";
export { captureOutput } from "./remote/capture-output.js";
export { findPipelines, withSubPipelines } from "./remote/find-pipelines.js";
export { OutputLines, type OutputLinesOptions } from "./remote/output-lines.js";
// Between the two
export { type FromWorker, plainJob, type Token, type ToWorker } from "./remote/protocol.js";
// In the engine's process
export { RemoteAttempt, type RemoteAttemptOptions } from "./remote/remote-attempt.js";
export {
  checkDefinitions,
  type Definitions,
  definitionsOf,
  type ImportTypeScript,
  loadTaskModule,
  type TaskModule,
  workerError,
} from "./remote/task-module.js";
// In the worker
export { TaskServer, type TaskServerOptions } from "./remote/task-server.js";
