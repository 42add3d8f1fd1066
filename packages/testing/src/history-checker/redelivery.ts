/** What ran, and ran again, by the word of the tasks themselves: invariants 6, 7 and 8, and effects that are deduplicated. */
import { type Execution, overlap, tenureOf } from "./executions.js";
import { mayHaveReopened } from "./graph.js";
import type { Fault, WitnessLine } from "./history.js";
import type { Report } from "./report.js";
import type { Instance, RunModel } from "./run-model.js";
import { groupBy, OWNER_FAULTS, type World } from "./world.js";

export function checkExecutions(
  world: World,
  executions: ReadonlyMap<string, readonly Execution[]>,
  report: Report,
): void {
  for (const [runId, own] of executions) {
    const run = world.runs.get(runId);
    if (run === undefined) continue;
    for (const same of groupBy(own, ({ key, generation }) => `${key}@${generation ?? ""}`).values()) {
      for (const execution of same) checkNoResurrection(world, run, execution, report);
      checkOverlaps(world, run, same, report);
    }
  }
  checkEffects(world, report);
}

/** 6: what has succeeded for good does not start again. */
function checkNoResurrection(
  world: World,
  run: RunModel,
  { task, index, generation, start }: Execution,
  report: Report,
): void {
  const instance = instanceOf(run, task, index, generation, start);
  if (instance?.record?.status !== "succeeded" || instance.ended === undefined || run.isAmbiguous) return;
  report.checked(6);
  const { ended } = instance;
  const isLater =
    start.seq !== undefined && world.isRecorded ? start.seq > ended.seq : start.at > ended.at + world.bounds.skewMs;
  if (isLater) report.violated(6, run.id, `"${instance.key}" ran again after it had succeeded for good`, ended, start);
}

/** What came before a run was carried over had other names; and a generation nobody can name is not looked into. */
function instanceOf(
  run: RunModel,
  task: string,
  index: readonly number[],
  generation: number | undefined,
  start: WitnessLine,
): Instance | undefined {
  const remap = run.remaps.at(-1);
  if (remap !== undefined && (start.seq === undefined || start.seq < remap.seq)) return undefined;
  if (generation === undefined && run.former.length > 0) return undefined;
  return run.at(task, index, generation);
}

function checkOverlaps(world: World, run: RunModel, executions: readonly Execution[], report: Report): void {
  for (let second = 1; second < executions.length; second++) {
    for (let first = 0; first < second; first++) {
      const [one, other] = [executions[first]!, executions[second]!];
      const [older, younger] = one.start.at <= other.start.at ? [one, other] : [other, one];
      checkPair(world, run, older, younger, report);
    }
  }
}

function checkPair(world: World, run: RunModel, older: Execution, younger: Execution, report: Report): void {
  const before = tenureOf(world, run, older);
  const after = tenureOf(world, run, younger);
  if (before !== undefined && after !== undefined) report.checked(before === after ? 7 : 8);
  if (!overlap(older, younger) || mayRunOn(run, older)) return;
  if (before === undefined || after === undefined) {
    const isExplained = world.faults(older.engine, older.start.at, younger.start.at, OWNER_FAULTS).length > 0;
    if (!isExplained)
      report.suspected(
        8,
        run.id,
        `"${older.key}" ran twice at once, on engines that cannot be told`,
        older.start,
        younger.start,
      );
    return;
  }
  if (before.epoch === after.epoch) {
    report.violated(
      7,
      run.id,
      `"${older.key}" ran twice at once under epoch ${before.epoch}`,
      older.start,
      younger.start,
    );
    return;
  }
  if (faultsBetween(world, older, younger).length > 0) return;
  const why = `"${older.key}" ran under epochs ${before.epoch} and ${after.epoch} at once, and nothing had happened to ${older.engine}`;
  report.violated(8, run.id, why, older.start, younger.start);
}

/** An attempt that was given up may go on beside the next where the policy says so. */
function mayRunOn(run: RunModel, { task, index, generation, attempt }: Execution): boolean {
  const status = run.at(task, index, generation)?.attempts.get(attempt)?.record.status;
  const position = run.shape?.positions.get(task);
  const retry = position === undefined ? undefined : run.shape!.tasks[position]!.retry;
  // The policy is about retries; whoever resumes the run has been told that the code may still be running.
  return status === "abandoned" && ((retry?.whileAbandoned ?? true) || mayHaveReopened(run));
}

function faultsBetween(world: World, older: Execution, younger: Execution): readonly Fault[] {
  // What cut the older owner off may have been over by the time its task began: its lease was lost with it.
  return world.faults(older.engine, older.start.at - world.bounds.leaseMs, younger.start.at, OWNER_FAULTS);
}

/** 8: effects whose receiver drops a second one under the same key happen once under that key. */
function checkEffects(world: World, report: Report): void {
  const seen = new Map<string, WitnessLine>();
  for (const line of world.evidence.witness) {
    if (line.phase !== "effect" || line.deduplicated !== true || line.key === undefined) continue;
    const place = `${line.runId} ${line.task} ${line.index.join(".")} ${generationOrOnly(line)}`;
    const before = seen.get(place);
    report.checked(8);
    if (before === undefined) seen.set(place, line);
    else if (before.key !== line.key) {
      report.violated(
        8,
        line.runId,
        `"${line.task}" had effects under two keys, ${before.key} and ${line.key}`,
        before,
        line,
      );
    }
  }
}

function generationOrOnly({ generation, key }: WitnessLine): string {
  return String(generation ?? /@(\d+)$/.exec(key!)?.[1] ?? 1);
}
