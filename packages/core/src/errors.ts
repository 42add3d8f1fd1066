/**
 * Every code this library throws or records, with its meaning and remedy in `docs/errors.md`.
 * Codes hold for a major version; messages may improve. Branch on `code`, never on the message.
 */
export const ERROR_CODES = [
  // Defining a pipeline
  "PIPELINE_INVALID",
  "TASK_INVALID",
  "TASK_DUPLICATE",
  "DAG_CYCLE",
  "DURATION_INVALID",
  "RETRY_INVALID",
  "SCHEDULE_INVALID",
  // Calling the engine
  "ENGINE_INVALID",
  "ENGINE_STOPPED",
  "PIPELINE_UNKNOWN",
  "EXECUTOR_UNKNOWN",
  "POOL_UNKNOWN",
  "PARAMS_INVALID",
  "IDEMPOTENCY_CONFLICT",
  "RUN_UNKNOWN",
  "RUN_ACTIVE",
  "RUN_FINISHED",
  "TASK_UNKNOWN",
  "CURSOR_INVALID",
  "QUERY_INVALID",
  "SIGNAL_INVALID",
  // How a run or a task ended
  "RUN_FAILED",
  "RUN_CANCELLED",
  "RUN_TIMEOUT",
  "TASK_FAILED",
  "TASK_CANCELLED",
  "TASK_TIMEOUT",
  "TASK_NOT_FOUND",
  "ATTEMPT_ENDED",
  "ABORT_FORCED",
  "UNCAUGHT_ERROR",
  "GROUP_STOPPED",
  "CHILD_FAILED",
  "CHECK_FAILED",
  "EXPECTATION_FAILED",
  "STEP_INVALID",
  "WAIT_INVALID",
  "KEY_INVALID",
  "BRANCH_INVALID",
  "MAP_INVALID",
  "FANOUT_LIMIT",
  // Threads and processes
  "EXECUTOR_INVALID",
  "RESOURCES_FAILED",
  "WORKER_START_FAILED",
  "WORKER_EXITED",
  "WORKER_OUT_OF_MEMORY",
  "WORKER_CPU_LIMIT",
  "NO_RESULT",
  // Values
  "OUTPUT_NOT_SERIALIZABLE",
  "OUTPUT_TOO_LARGE",
  "PARAMS_NOT_SERIALIZABLE",
  "PARAMS_TOO_LARGE",
  "ITEM_NOT_SERIALIZABLE",
  "ITEM_TOO_LARGE",
  "ARTIFACT_INVALID",
  "VALUE_UNREADABLE",
  "VALUE_REJECTED",
  // Storage and ownership
  "STORAGE_CLOSED",
  "STORAGE_FULL",
  "STORAGE_TIMEOUT",
  "STORAGE_INVALID",
  "DRIVER_MISSING",
  "SCHEMA_TOO_NEW",
  "SCHEMA_OUTDATED",
  "SCHEMA_MISSING",
  "MIGRATION_LOCK_TIMEOUT",
  "POOL_TOO_SMALL",
  "TRANSACTION_INVALID",
  "LEASE_LOST",
  "DAG_CHANGED",
  "NO_ENGINE_FOR_DAG",
  "RUN_QUARANTINED",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface WeftlineErrorOptions {
  readonly cause?: unknown;
  /** Whether the same call can succeed later. Default: false. */
  readonly retryable?: boolean;
}

/**
 * The one error class of this library. Its message reads `CODE: what happened. What you can do.`
 * Neither the class nor its fields survive a thread boundary: compare `code`, not `instanceof`, on recorded errors.
 */
export class WeftlineError extends Error {
  override readonly name: string = "WeftlineError";
  readonly code: ErrorCode;
  readonly retryable: boolean;

  /** @param message - What happened and what to do, without the code, which is put before it. */
  constructor(code: ErrorCode, message: string, options: WeftlineErrorOptions = {}) {
    super(`${code}: ${message}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}
