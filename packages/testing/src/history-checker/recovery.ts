/** 20: what a new owner goes on from is what had been written. */
import type { TaskRecord } from "weftline";
import type { StateLoaded } from "./history.js";
import type { Report } from "./report.js";
import { type Instance, keyOf, type RunModel } from "./run-model.js";
import { isSame } from "./transitions.js";

export function checkLoaded(run: RunModel, event: StateLoaded, report: Report): void {
  // Who reads a result may find the run deleted.
  if (run.deleted !== undefined) return;
  // Written while it was being read: either state may have been told.
  if (run.isAmbiguous || run.created === undefined || (run.lastWrite?.seq ?? 0) > (event.since ?? event.seq)) return;
  report.checked(20);
  const told = new Map(event.tasks.map((task) => [identity(task), task]));
  for (const instance of newest(run)) {
    const key = identity(instance);
    const task = told.get(key);
    // What belongs to a list that was opened anew counts no more, and may be told or not.
    if (task === undefined ? !run.isStale(instance) : !isSame(instance.record!, task)) {
      const why = `${keyOf(instance.task, instance.index)} was written as ${instance.record!.status}, and read as ${task?.status ?? "nothing"}`;
      report.violated(20, run.id, why, instance.event, event);
    }
    told.delete(key);
  }
  for (const task of told.values()) {
    if (isKnown(run, task)) continue;
    report.violated(
      20,
      run.id,
      `${keyOf(task.task, task.index)} was read as ${task.status}, and never written so`,
      event,
    );
  }
}

/** Of each task, and of each item of an outermost list, what is of the newest generation. */
function newest(run: RunModel): readonly Instance[] {
  const generations = new Map<string, number>();
  for (const { position, index, generation } of run.current.values()) {
    const place = `${position}/${index[0] ?? ""}`;
    generations.set(place, Math.max(generations.get(place) ?? 0, generation));
  }
  return [...run.current.values()].filter(
    ({ position, index, generation, record }) =>
      record !== undefined && generations.get(`${position}/${index[0] ?? ""}`) === generation,
  );
}

/** An item of a list that was opened anew may be told although it counts no more. */
function isKnown(run: RunModel, task: TaskRecord): boolean {
  const instance = run.at(task.task, task.index, task.generation);
  return instance?.record !== undefined && instance.generation === task.generation && isSame(instance.record, task);
}

function identity({ position, index, generation }: Pick<TaskRecord, "position" | "index" | "generation">): string {
  return `${position}/${index.join(".")}@${generation}`;
}
