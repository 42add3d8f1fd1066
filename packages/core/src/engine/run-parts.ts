import type { RunFacts } from "../contracts/executor.js";
import type { RunRecord } from "../contracts/records.js";
import type { RunState } from "../run/state.js";
import type { Effects } from "../run/transition.js";
import type { EngineCore } from "./engine-core.js";
import type { Journaled } from "./journal.js";
import type { Outputs } from "./outputs.js";
import type { RegisteredPipeline } from "./registry.js";
import type { RunRecorder } from "./run-recorder.js";
import type { RunTimers } from "./run-timers.js";

/** What the parts of an owned run share. */
export interface RunParts {
  readonly core: EngineCore;
  readonly entry: RegisteredPipeline;
  readonly record: RunRecord;
  readonly facts: RunFacts;
  readonly state: RunState;
  readonly outputs: Outputs;
  readonly recorder: RunRecorder;
  readonly timers: RunTimers;
  /** What the transitions made so far still ask for. */
  readonly effects: Effects;
  /** The run as its journal knows it. */
  readonly journaled: Journaled;
}
