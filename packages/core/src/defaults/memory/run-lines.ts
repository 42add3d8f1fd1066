import type { ArtifactRecord, AssetRecord, LogRecord, MetricRecord, StepRecord } from "../../contracts/records.js";
import type { RunChanges } from "../../contracts/storage.js";
import { samePath } from "./matches.js";
import type { TaskMoves } from "./task-moves.js";

/** From how many steps on they are looked up by name; fewer are looked through. */
const STEPS_TO_INDEX = 16;

/** What a run keeps of each kind. */
export interface Lines {
  logs: LogRecord;
  metrics: MetricRecord;
  artifacts: ArtifactRecord;
  assets: AssetRecord;
  steps: StepRecord;
}
export type LineKind = keyof Lines;

/** What the tasks of a run wrote, of each kind in the order it was written. Most runs have little of it, or nothing. */
export class RunLines {
  readonly #lines: { [Kind in LineKind]: Lines[Kind][] | undefined } = {
    logs: undefined,
    metrics: undefined,
    artifacts: undefined,
    assets: undefined,
    steps: undefined,
  };
  /** Where each step is, once there are many. */
  #stepPlaces: Map<string, number> | undefined = undefined;

  of<Kind extends LineKind>(kind: Kind): readonly Lines[Kind][] {
    return this.#lines[kind] ?? [];
  }

  write({ logs, metrics, artifacts, assets, steps }: RunChanges): void {
    const lines = this.#lines;
    lines.logs = extended(lines.logs, logs);
    lines.metrics = extended(lines.metrics, metrics);
    lines.artifacts = extended(lines.artifacts, artifacts);
    lines.assets = extended(lines.assets, assets);
    for (const step of steps) this.#putStep(step);
  }

  /** Goes over to the tasks of another definition. */
  move(moves: TaskMoves): void {
    const lines = this.#lines;
    lines.logs = lines.logs && moves.lines(lines.logs);
    lines.metrics = lines.metrics && moves.lines(lines.metrics);
    lines.artifacts = lines.artifacts && moves.lines(lines.artifacts);
    lines.assets = lines.assets && moves.lines(lines.assets);
    const steps = moves.lines(this.of("steps"));
    lines.steps = undefined;
    this.#stepPlaces = undefined;
    for (const step of steps) this.#putStep(step);
  }

  /** A step that is written again keeps its place. */
  #putStep(step: StepRecord): void {
    const place = this.#stepPlace(step);
    if (place === undefined) this.#addStep(step);
    else this.#lines.steps![place] = step;
  }

  #stepPlace(step: StepRecord): number | undefined {
    if (this.#stepPlaces !== undefined) return this.#stepPlaces.get(nameOf(step));
    const place = this.of("steps").findIndex((other) => isSameStep(step, other));
    return place < 0 ? undefined : place;
  }

  #addStep(step: StepRecord): void {
    this.#lines.steps = extended(this.#lines.steps, [step]);
    const steps = this.of("steps");
    if (this.#stepPlaces !== undefined) this.#stepPlaces.set(nameOf(step), steps.length - 1);
    else if (steps.length === STEPS_TO_INDEX) {
      this.#stepPlaces = new Map(steps.map((other, place) => [nameOf(other), place]));
    }
  }
}

/** Copied the first time, for an array that is no larger than it has to be. */
function extended<Line>(lines: Line[] | undefined, more: readonly Line[]): Line[] | undefined {
  if (more.length === 0) return lines;
  if (lines === undefined) return [...more];
  for (const line of more) lines.push(line);
  return lines;
}

function isSameStep(a: StepRecord, b: StepRecord): boolean {
  return a.step === b.step && a.task === b.task && a.generation === b.generation && samePath(a.index, b.index);
}

/** The step's own name comes last: it may be any text. */
function nameOf({ task, index, generation, step }: StepRecord): string {
  return `${task} ${index} ${generation} ${step}`;
}
