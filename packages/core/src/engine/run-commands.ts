import type { RunMessage } from "../contracts/records.js";
import { reopen, reopenFrom } from "../run/reopen.js";
import type { RunState } from "../run/state.js";
import * as transition from "../run/transition.js";
import type { RunParts } from "./run-parts.js";

/** What people say to runs, applied to the state of one. */

type Rerun = Extract<RunMessage, { readonly kind: "rerun" }>;
type Cancel = Extract<RunMessage, { readonly kind: "cancel" }>;

/**
 * Opens a finished run at the point of failure.
 *
 * @param generation - For what has to begin anew. @returns Whether anything has.
 */
export function applyResume(run: RunParts, generation: number): boolean {
  const opened = reopen(run.state, generation);
  recordOpened(run, opened, generation);
  return opened.some((instance) => run.state.generationOf(instance) === generation);
}

/** Opens tasks of a finished run as a new generation. */
export function applyRerun(run: RunParts, { tasks, downstream }: Rerun, generation: number): void {
  const { positions } = run.state.plan;
  const known = tasks.flatMap((id) => positions.get(id) ?? []);
  recordOpened(run, reopenFrom(run.state, known, downstream, generation), generation);
}

function recordOpened(
  { state, outputs, steps, recorder }: RunParts,
  opened: readonly number[],
  generation: number,
): void {
  for (const instance of opened) {
    outputs.forget(instance);
    if (state.generationOf(instance) === generation) steps.forget(instance);
    recorder.task(instance);
  }
}

/** Cancels a task, an item of it, or with it all that depends on it. */
export function applyCancel({ state, effects }: RunParts, { task, index, downstream }: Cancel): void {
  const position = state.plan.positions.get(task!);
  if (position === undefined) return;
  const chosen = instancesAt(state, position, index);
  const all = downstream ? withDownstream(state, chosen) : chosen;
  // What comes last first: nothing is then started, or settled by a rule, because of what was cancelled before it.
  for (const instance of [...all].reverse()) transition.cancelInstance(state, instance, effects);
}

/** A task in every list around it, or only where its index begins with the given one. */
function instancesAt(state: RunState, position: number, index: readonly number[]): readonly number[] {
  const exact = state.instanceAt(position, index);
  if (index.length > state.plan.depth[position]!) return exact === undefined ? [] : [exact];
  const instances: number[] = [];
  state.forEach((instance, at) => {
    if (at !== position) return;
    const path = state.indexOf(instance);
    if (path.length === state.plan.depth[position] && index.every((place, level) => path[level] === place)) {
      instances.push(instance);
    }
  });
  return instances;
}

function withDownstream(state: RunState, instances: readonly number[]): readonly number[] {
  const all = new Set(instances);
  for (const instance of all) {
    // What depends on the list or group around it depends on it too.
    for (let at = instance; at >= 0; at = state.parentOf(at)) addSuccessors(state, at, all);
  }
  return [...all];
}

function addSuccessors(state: RunState, instance: number, to: Set<number>): void {
  if (state.isItem(instance)) return;
  const { successorStart, successors } = state.plan;
  const position = state.positionOf(instance);
  for (let edge = successorStart[position]!; edge < successorStart[position + 1]!; edge++) {
    to.add(successors[edge]! + instance - position);
  }
}
