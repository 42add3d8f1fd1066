import type { Fault, WitnessLine } from "@weftline/testing";
import type { AttemptRecord, StepRecord, TaskRecord } from "weftline";
import { identityOf, type StoredRun } from "../stored-runs.js";
import { type Execution, hasJustSlept } from "./executions.js";
import type { ConfirmedLine } from "./world.js";

/** Tasks of which the harness sees when their code runs, among all those of its pipelines: the others have none, or say nothing. */
const SILENT: ReadonlySet<string> = new Set(["nap", "approval", "stage", "child", "watch", "square", "item"]);

export interface Looked {
  readonly problems: readonly string[];
  /** Executions that began after their task had ended, on engines that had just slept; what they came to was dropped. */
  readonly woken: number;
}

/**
 * Runs have ended as a whole, with attempts without gaps and one that succeeded where the task did. Only attempts whose
 * engine lost their run may be left as running.
 */
export function unfinishedBusiness({ run, tasks, attempts }: StoredRun, faults: readonly Fault[]): readonly string[] {
  const problems: string[] = [];
  const where = `run ${run.id} of ${run.pipeline}`;
  if (run.status !== "succeeded" && run.status !== "cancelled") problems.push(`${where} is ${run.status}`);
  if (run.owner !== undefined) problems.push(`${where} is ${run.status} and still has an owner`);
  const open: readonly TaskRecord["status"][] = ["ready", "running", "retrying", "waiting"];
  for (const task of tasks) {
    if (task.generation === currentGeneration(tasks, task) && open.includes(task.status)) {
      problems.push(`${where} is ${run.status}, and its ${identityOf(task)} is ${task.status}`);
    }
  }
  for (const [identity, own] of attemptsByIdentity(attempts)) {
    const numbers = own.map(({ attempt }) => attempt);
    if (numbers.some((number, place) => number !== place + 1)) {
      problems.push(`${identity} has the attempts ${numbers.join(", ")}`);
    }
    const succeeded = own.filter(({ status }) => status === "succeeded").length;
    if (succeeded > 1) problems.push(`${identity} succeeded ${succeeded} times`);
    for (const attempt of own.filter((attempt) => attempt.status === "running" && !wasCutOff(attempt, faults))) {
      problems.push(`${where} is ${run.status}, and attempt ${attempt.attempt} of ${identity} is running`);
    }
  }
  return problems;
}

/** Nobody may write for an engine that lost its runs, so its attempts stay in history as they were. */
function wasCutOff({ engineId, startedAt }: AttemptRecord, faults: readonly Fault[]): boolean {
  return faults.some(({ engine, to, from }) => engineId.startsWith(`${engine}-`) && (to ?? from) >= startedAt);
}

function currentGeneration(tasks: readonly TaskRecord[], { position, index }: TaskRecord): number {
  const own = tasks.filter((task) => task.position === position && task.index.join() === index.join());
  return Math.max(...own.map(({ generation }) => generation));
}

function attemptsByIdentity(attempts: readonly AttemptRecord[]): ReadonlyMap<string, readonly AttemptRecord[]> {
  const found = new Map<string, AttemptRecord[]>();
  for (const attempt of attempts) {
    const identity = identityOf(attempt);
    found.set(identity, [...(found.get(identity) ?? []), attempt]);
  }
  for (const own of found.values()) own.sort((a, b) => a.attempt - b.attempt);
  return found;
}

/**
 * What is stored as succeeded has really run, to its end and on the engine that is named, and did not begin again after
 * that.
 */
export function againstWitness(
  { tasks, attempts }: StoredRun,
  executions: ReadonlyMap<string, readonly Execution[]>,
  faults: readonly Fault[],
): Looked {
  const problems: string[] = [];
  const numbered = attemptsByIdentity(attempts);
  let woken = 0;
  for (const task of tasks) {
    const isList = task.index.length === 0 && task.items !== undefined;
    if (task.status !== "succeeded" || isList || (SILENT.has(task.task) && task.index.length === 0)) continue;
    const identity = identityOf(task);
    const own = executions.get(identity) ?? [];
    const attempt = numbered.get(identity)?.find(({ status }) => status === "succeeded");
    if (attempt === undefined) {
      const stored = JSON.stringify([task, ...(numbered.get(identity) ?? [])]);
      problems.push(`${identity} succeeded without an attempt that did: ${stored}`);
    } else if (!own.some((execution) => isOf(execution, attempt))) {
      problems.push(`attempt ${attempt.attempt} of ${identity} on ${attempt.engineId} is stored, and never returned`);
    }
    const { finishedAt = Number.POSITIVE_INFINITY } = task;
    for (const { engine, from } of own.filter((execution) => execution.from > finishedAt)) {
      if (hasJustSlept(faults, engine, 0, from)) woken++;
      else problems.push(`${identity} began again on ${engine}, ${from - finishedAt} ms after it had succeeded`);
    }
  }
  return { problems, woken };
}

function isOf({ attempt, engine, hasReturned }: Execution, record: AttemptRecord): boolean {
  return hasReturned && attempt === record.attempt && record.engineId.startsWith(`${engine}-`);
}

/** Of an end that an engine told its listeners, the attempt is stored as this engine's, whoever took the run over. */
export function lostConfirmations(lines: readonly ConfirmedLine[], runs: readonly StoredRun[]): readonly string[] {
  const placeOf = (runId: string, task: string, index: readonly number[], attempt: number, status: string) =>
    `attempt ${attempt} of ${task}[${index.join()}] of run ${runId} as ${status}`;
  const stored = new Map<string, string[]>();
  for (const { attempts } of runs) {
    for (const { runId, task, index, attempt, status, engineId } of attempts) {
      const place = placeOf(runId, task, index, attempt, status);
      stored.set(place, [...(stored.get(place) ?? []), engineId]);
    }
  }
  return lines.flatMap(({ engine, runId, task, index, attempt, status }) => {
    const hasAttempt = attempt > 0 && (status === "succeeded" || status === "failed");
    if (!hasAttempt || (SILENT.has(task) && index.length === 0)) return [];
    const place = placeOf(runId, task, index, attempt, status);
    if (stored.get(place)?.some((engineId) => engineId.startsWith(`${engine}-`))) return [];
    return [`${engine} told its listeners of ${place}, and stored is that of ${stored.get(place)?.join() ?? "nobody"}`];
  });
}

/** A step that is stored was not done again afterwards. */
export function repeatedSteps(
  steps: readonly StepRecord[],
  lines: readonly WitnessLine[],
  faults: readonly Fault[],
): readonly string[] {
  const storedAt = new Map(steps.map(({ runId, step, at }) => [`${runId} ${step}`, at]));
  return lines.flatMap(({ runId, task, phase, at, engine = "" }) => {
    const stored = phase === "effect" ? storedAt.get(`${runId} ${task.replace("stepped#", "step-")}`) : undefined;
    if (stored === undefined || at <= stored || hasJustSlept(faults, engine, 0, at)) return [];
    return [`${task} of run ${runId} was done again on ${engine}, ${at - stored} ms after it was stored`];
  });
}
