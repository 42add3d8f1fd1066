import type { RunStatus } from "../contracts/records.js";
import type { EngineEventName, EngineEvents } from "../events.js";
import type { CancelOptions } from "./runs.js";

/** Any event of an engine, with its name. */
export type NamedEvent = { [Name in EngineEventName]: { readonly name: Name } & EngineEvents[Name] }[EngineEventName];

/** A run that was started or found. It holds nothing open: dropping it is fine. */
export interface RunHandle<Result = unknown> {
  readonly id: string;
  /**
   * The run's result, as soon as it has ended.
   *
   * @throws {RunFailedError} with the failing tasks; {@link RunCancelledError}; `ENGINE_STOPPED` when this engine stops
   * first; `RUN_UNKNOWN` when the run was deleted meanwhile.
   */
  result(): Promise<Result>;
  status(): Promise<RunStatus>;
  /** @returns False when there was nothing left to cancel. */
  cancel(options?: CancelOptions): Promise<boolean>;
  /** Sends a payload to a task of the run that waits for it, now or later. See `engine.runs.signal`. */
  signal(task: string, payload?: unknown): Promise<void>;
  /** What happens in the run on this engine from now on; ends with the run. */
  events(): AsyncIterableIterator<NamedEvent>;
}
