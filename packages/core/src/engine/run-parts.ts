import type { RunFacts } from "../contracts/executor.js";
import type { RunRecord } from "../contracts/records.js";
import type { WeftlineError } from "../errors.js";
import type { Effects } from "../run/effects.js";
import type { RunState } from "../run/state.js";
import type { EngineCore } from "./engine-core.js";
import type { Journaled } from "./journal.js";
import type { Outputs } from "./outputs.js";
import type { RegisteredPipeline } from "./registry.js";
import type { RunRecorder } from "./run-recorder.js";
import type { RunSteps } from "./run-steps.js";
import type { RunTimers } from "./run-timers.js";

/** What the parts of an owned run share. */
export interface RunParts {
  readonly core: EngineCore;
  readonly entry: RegisteredPipeline;
  /** As it is now: a rerun may change the params. */
  readonly record: RunRecord;
  readonly facts: RunFacts;
  readonly state: RunState;
  readonly outputs: Outputs;
  readonly steps: RunSteps;
  readonly recorder: RunRecorder;
  readonly timers: RunTimers;
  /** What the transitions made so far still ask for. */
  readonly effects: Effects;
  /** The run as its journal knows it. */
  readonly journaled: Journaled;
}

/** What the parts of an owned run ask of it. */
export interface RunHost {
  /** Instances are ready although nothing was flushed: a delay or a wait is over. */
  startNow(instances: readonly number[]): void;
  /** A task failed for good, and was not allowed to. */
  failedForGood(instance: number): void;
  /** Tells running attempts to stop. */
  abort(reason: WeftlineError, instances: readonly number[]): void;
  /** Whether code of a task inside a group still runs although its attempt was given up. */
  hasAbandoned(group: number): boolean;
  /** Why tasks are being ended, for those that end by the next transitions. */
  endingBecause(reason: WeftlineError): void;
  /** A transition was made: its effects are to be looked at. */
  afterTransition(): void;
  /** Something was recorded that others wait for. @returns When it is durable; rejects when the run is not ours any more. */
  durable(instance: number): Promise<void>;
  /** The run's next generation begins. @returns Its number. */
  nextGeneration(): number;
}
