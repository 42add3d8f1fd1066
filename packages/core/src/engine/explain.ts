import type { RunRecord, TaskRecord } from "../contracts/records.js";
import { isRunFinished } from "../contracts/records.js";
import type { Storage } from "../contracts/storage.js";
import type { Pipeline } from "../define/pipeline.js";
import {
  type ExplainFacts,
  type Reason,
  reasonInWords,
  reasonsOf,
  sentenceOf,
  type TaskExplanation,
  taskAt,
} from "../run/explain.js";
import { isFinal, PENDING, READY, type RunState } from "../run/state.js";
import type { ActiveRun } from "./active-run.js";
import { taskName } from "./errors.js";
import type { Gate } from "./limits.js";

/** Why a run has not ended, or ended as it did. */
export interface RunExplanation {
  readonly runId: string;
  readonly status: RunRecord["status"];
  /** What concerns the run as a whole. */
  readonly reasons: readonly Reason[];
  /** What it waits for: unfinished tasks that are not only waiting for others of them; of a run that ended, those that decided it. At most 20. */
  readonly tasks: readonly TaskExplanation[];
  readonly sentence: string;
}

/** A run to explain: with the engine's own knowledge where it is ours, else as storage has it. */
export interface Explained {
  readonly run: RunRecord;
  readonly pipeline: Pipeline;
  readonly state: RunState;
  readonly active: ActiveRun | undefined;
  readonly total: Gate;
  readonly storage: Pick<Storage, "list">;
  readonly engineId: string;
  readonly now: number;
}

const MAX_TASKS = 20;

/** @param index - Of an item, or of a task inside a mapped group. @returns `undefined` when there is no such instance. */
export async function explainTask(
  explained: Explained,
  position: number,
  index: readonly number[],
): Promise<TaskExplanation | undefined> {
  const instance = explained.state.instanceAt(position, index);
  return instance === undefined ? undefined : explainInstance(explained, instance);
}

export async function explainRun(explained: Explained): Promise<RunExplanation> {
  const { run, state } = explained;
  const reasons = await runReasons(explained);
  const instances: number[] = [];
  state.forEach((instance) => {
    if (instances.length < MAX_TASKS && isTelling(state, instance, isRunFinished(run.status))) instances.push(instance);
  });
  const tasks = await Promise.all(instances.map((instance) => explainInstance(explained, instance)));
  const begun = run.startedAt === undefined ? "has not started" : "does not go on";
  const because = [
    ...(run.error ? [run.error.message] : []),
    ...(reasons.length > 0 && !isRunFinished(run.status)
      ? [`The run ${begun}: ${reasons.map(reasonInWords).join("; ")}.`]
      : []),
    ...tasks.map((task) => task.sentence),
  ];
  const sentence = `Run ${run.id} of pipeline "${run.pipeline}" is ${run.status}. ${because.join(" ")}`.trim();
  return { runId: run.id, status: run.status, reasons, tasks, sentence };
}

/** Of a run that goes on, what does not only wait for other tasks; of one that ended, what went wrong. */
function isTelling(state: RunState, instance: number, hasEnded: boolean): boolean {
  const status = state.statusOf(instance);
  // A list or group failed because something in it did, which says more.
  const isAround = state.expansions.has(instance) || state.plan.tasks[state.positionOf(instance)]!.kind === "group";
  // Nothing runs in a run that has ended, but for what ran when the engine of a quarantined one died.
  if (hasEnded) return (status === "failed" || status === "cancelled" || status === "running") && !isAround;
  return !isFinal(state.status[instance]!) && state.status[instance] !== PENDING;
}

async function runReasons(explained: Explained): Promise<readonly Reason[]> {
  const { run, active, engineId, now } = explained;
  if (run.status === "paused") return [{ kind: "paused" }];
  if (run.status === "quarantined") return [{ kind: "quarantined", crashes: run.crashes }];
  if (active !== undefined || isRunFinished(run.status)) return [];
  if (run.owner !== undefined) return run.owner === engineId ? [] : [{ kind: "elsewhere", engineId: run.owner }];
  if (run.availableAt > now) return [{ kind: "queued", why: "later", until: run.availableAt }];
  return [{ kind: "queued", why: (await isFull(explained)) ? "max-active-runs" : "unclaimed", until: undefined }];
}

/** Whether as many runs of the pipeline are active as may be. */
async function isFull({ pipeline, storage }: Explained): Promise<boolean> {
  const { maxActiveRuns } = pipeline.settings;
  if (maxActiveRuns === undefined) return false;
  const limit = Math.min(maxActiveRuns, 1_000);
  const active = { pipeline: pipeline.id, status: ["running", "waiting", "paused"] } as const;
  return (await storage.list("runs", active, { limit })).items.length === limit;
}

async function explainInstance(explained: Explained, instance: number): Promise<TaskExplanation> {
  const { run, state } = explained;
  const at = taskAt(state, instance);
  const ofRun = (await runReasons(explained)).filter(({ kind }) => kind !== "paused");
  const facts = await factsOf(explained, instance);
  const own = reasonsOf(state, instance, facts);
  // Whether something is due is for the owner of the run to say.
  const undecided = ofRun.length === 0 ? own : [...ofRun, ...own.filter(({ kind }) => kind !== "due")];
  const reasons = isFinal(state.status[instance]!) ? own : undecided;
  return {
    runId: run.id,
    ...at,
    reasons,
    sentence: sentenceOf(`"${taskName(at.task, at.index)}"`, at.status, reasons),
  };
}

async function factsOf({ run, state, active, total, storage }: Explained, instance: number): Promise<ExplainFacts> {
  const { task, index } = taskAt(state, instance);
  const record = await recordOf(storage, run.id, task, index);
  const isHeld = active !== undefined && state.status[instance] === READY && run.status !== "paused";
  const gate = isHeld ? (active.fullGateOf(instance) ?? (total.isFull ? total : undefined)) : undefined;
  return {
    isPaused: run.status === "paused",
    gate: gate && { kind: gate.kind, gate: gate.label },
    startedAt: record?.startedAt,
    error: record?.error,
    reason: record?.reason,
    warning: record?.warning,
    cachedFrom: record?.cachedFrom,
  };
}

async function recordOf(
  storage: Pick<Storage, "list">,
  runId: string,
  task: string,
  index: readonly number[],
): Promise<TaskRecord | undefined> {
  const place = String(index);
  for (let cursor: string | undefined; ; ) {
    const page = await storage.list(
      "tasks",
      { runId, task },
      { limit: 1_000, ...(cursor !== undefined && { cursor }) },
    );
    const found = page.items.find((record) => String(record.index) === place);
    if (found !== undefined || page.next === undefined) return found;
    cursor = page.next;
  }
}
