import type { TaskStatus } from "../contracts/records.js";
import type { Builder } from "../define/builder.js";
import type { ResultNodes } from "../define/handles.js";
import { type Pipeline, pipeline } from "../define/pipeline.js";
import { type Effects, noEffects } from "../run/effects.js";
import { RunState } from "../run/state.js";
import { begin } from "../run/transition.js";

/** The state of a run of `defined` before anything happened. */
export function stateOf({ plan }: Pick<Pipeline, "plan">): RunState {
  return new RunState(plan);
}

/** A run in the hands of a test: its state, and what its transitions asked for so far. */
export interface Begun {
  readonly state: RunState;
  readonly effects: Effects;
  /** The instance of a task, or of an item of an expanded map. */
  readonly at: (task: string, item?: number) => number;
  /** The statuses of tasks by their ids. */
  readonly statuses: () => Record<string, TaskStatus>;
}

/** Begins a run of the tasks that `build` defines. */
export function begun(build: (p: Builder<Record<never, never>>) => ResultNodes | void): Begun {
  return begunRunOf(pipeline("test", build));
}

export function begunRunOf(defined: Pipeline): Begun {
  const state = stateOf(defined);
  const effects = noEffects();
  begin(state, effects);
  return {
    state,
    effects,
    at: (task, item) => state.instanceAt(state.plan.positions.get(task)!, item === undefined ? [] : [item])!,
    statuses: () => Object.fromEntries(defined.taskIds.map((id, position) => [id, state.statusOf(position)])),
  };
}
