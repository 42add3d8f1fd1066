/** Why a task stands where it stands: read from a run's state alone, as data and in words. */
import type { EpochMs } from "../clock.js";
import type { TaskStatus, Wait } from "../contracts/records.js";
import type { TriggerRule } from "../define/trigger-rules.js";
import type { ErrorRecord } from "../values/error-record.js";
import { describeError } from "../values/error-record.js";
import {
  isFinal,
  PENDING,
  READY,
  RETRYING,
  RUNNING,
  type RunState,
  SKIPPED,
  UPSTREAM_FAILED,
  WAITING,
} from "./state.js";

/** One thing that decides whether, or why, a task runs. */
export type Reason =
  /** Upstream tasks have not finished, or ended in a way that decided it. */
  | { readonly kind: "upstream"; readonly rule: TriggerRule | "teardown"; readonly tasks: readonly TaskAt[] }
  /** The group, or the list, it stands in has not begun. */
  | { readonly kind: "group"; readonly group: TaskAt }
  /** A limit, pool or rate is used up. @property gate - In words. */
  | { readonly kind: "concurrency" | "pool" | "rate"; readonly gate: string }
  /** The delay before its next attempt, a sleep, or the time between two looks of a poll. */
  | { readonly kind: "timer"; readonly wait: "retry" | "sleep" | "poll"; readonly until: EpochMs }
  | { readonly kind: "signal"; readonly signal: string; readonly key: string | undefined }
  /** A run of another pipeline that it started. */
  | { readonly kind: "run"; readonly runId: string }
  | { readonly kind: "paused" }
  /** Engines died under the run, and nothing of it starts until somebody resumes it. */
  | { readonly kind: "quarantined"; readonly crashes: number }
  /** The run has not been begun by an engine, and why. */
  | {
      readonly kind: "queued";
      readonly why: "later" | "max-active-runs" | "unclaimed";
      readonly until: EpochMs | undefined;
    }
  /** Another engine has the run. */
  | { readonly kind: "elsewhere"; readonly engineId: string }
  | { readonly kind: "running"; readonly attempt: number; readonly since: EpochMs | undefined }
  /** A list or group runs while what is in it does. */
  | { readonly kind: "inside"; readonly total: number; readonly open: number }
  /** Its output was taken from an earlier run. */
  | { readonly kind: "cache"; readonly runId: string }
  | { readonly kind: "ended"; readonly words: string }
  /** Nothing keeps it: it starts with the next step of the engine. */
  | { readonly kind: "due" };

export interface TaskAt {
  readonly task: string;
  readonly index: readonly number[];
  readonly status: TaskStatus;
}

export interface TaskExplanation extends TaskAt {
  readonly runId: string;
  readonly reasons: readonly Reason[];
  /** The reasons in one sentence, for people. */
  readonly sentence: string;
}

/** What an explanation knows beside the state. */
export interface ExplainFacts {
  readonly isPaused: boolean;
  /** The gate that keeps a ready instance back; `undefined`: none. */
  readonly gate: { readonly kind: "concurrency" | "pool" | "rate"; readonly gate: string } | undefined;
  readonly startedAt: EpochMs | undefined;
  readonly error: ErrorRecord | undefined;
  readonly reason: string | undefined;
  readonly warning: string | undefined;
  readonly cachedFrom: string | undefined;
}

/** Why an instance has the status it has. */
export function reasonsOf(state: RunState, instance: number, facts: ExplainFacts): readonly Reason[] {
  const status = state.status[instance]!;
  if (isFinal(status)) return endedReasons(state, instance, facts);
  const paused: Reason[] = facts.isPaused ? [{ kind: "paused" }] : [];
  switch (status) {
    case PENDING: {
      const reasons = [...pendingReasons(state, instance), ...paused];
      return reasons.length > 0 ? reasons : [{ kind: "due" }];
    }
    case READY:
      return paused.length > 0 ? paused : [facts.gate ?? { kind: "due" }];
    case RUNNING:
      return [runningReason(state, instance, facts)];
    case RETRYING:
      return [{ kind: "timer", wait: "retry", until: state.retryAt.get(instance)! }, ...paused];
    case WAITING:
      return [waitReason(state, instance, state.waits.get(instance)!), ...paused];
    default:
      return [];
  }
}

function pendingReasons(state: RunState, instance: number): readonly Reason[] {
  const parent = state.parentOf(instance);
  if (parent >= 0 && !state.groups.has(parent)) return [{ kind: "group", group: taskAt(state, parent) }];
  const tasks = upstreamOf(state, instance)
    .filter((upstream) => !isFinal(state.status[upstream]!))
    .map((upstream) => taskAt(state, upstream));
  return tasks.length === 0 ? [] : [{ kind: "upstream", rule: ruleOf(state, instance), tasks }];
}

function runningReason(state: RunState, instance: number, { startedAt }: ExplainFacts): Reason {
  const expansion = state.expansions.get(instance);
  if (expansion) return { kind: "inside", total: expansion.count, open: expansion.open };
  const group = state.groups.get(instance);
  if (group === undefined) return { kind: "running", attempt: state.attempts[instance]!, since: startedAt };
  const size = state.plan.parent.filter((around) => around === state.positionOf(instance)).length;
  return { kind: "inside", total: size, open: group.open };
}

function waitReason(state: RunState, instance: number, wait: Wait): Reason {
  switch (wait.kind) {
    case "sleep":
    case "poll":
      return { kind: "timer", wait: wait.kind, until: wait.until };
    case "signal":
      return { kind: "signal", signal: taskAt(state, instance).task, key: wait.key };
    case "run":
      return { kind: "run", runId: wait.runId };
  }
}

function endedReasons(state: RunState, instance: number, facts: ExplainFacts): readonly Reason[] {
  const { error, reason, warning, cachedFrom } = facts;
  const words = error ? describeError(error) : (reason ?? warning);
  const status = state.status[instance];
  const mayBeByRule = status === UPSTREAM_FAILED || (status === SKIPPED && !state.expansions.has(instance));
  const decidedBy = mayBeByRule ? upstreamOf(state, instance).map((upstream) => taskAt(state, upstream)) : [];
  const isByRule = state.attempts[instance] === 0 && decidedBy.length > 0;
  return [
    ...(cachedFrom === undefined ? [] : [{ kind: "cache" as const, runId: cachedFrom }]),
    ...(isByRule ? [{ kind: "upstream" as const, rule: ruleOf(state, instance), tasks: decidedBy }] : []),
    ...(words === undefined ? [] : [{ kind: "ended" as const, words }]),
  ];
}

function ruleOf(state: RunState, instance: number): TriggerRule | "teardown" {
  const { teardown, triggerRule } = state.plan.tasks[state.positionOf(instance)]!.policy;
  return teardown ? "teardown" : triggerRule;
}

/** The tasks it comes after, in its frame. The plan has edges only forwards, so that this looks at all of them. */
function upstreamOf(state: RunState, instance: number): readonly number[] {
  const position = state.positionOf(instance);
  if (state.isItem(instance)) return [];
  const { successors, successorStart, tasks } = state.plan;
  const upstream: number[] = [];
  for (let task = 0, edge = 0; task < tasks.length; task++) {
    for (; edge < successorStart[task + 1]!; edge++) {
      if (successors[edge] === position) upstream.push(task + instance - position);
    }
  }
  return upstream;
}

/** How an instance is named and stands. */
export function taskAt(state: RunState, instance: number): TaskAt {
  const { id } = state.plan.tasks[state.positionOf(instance)]!;
  return { task: id, index: state.indexOf(instance), status: state.statusOf(instance) };
}

const MAX_NAMED = 3;

/** The reasons of a task in one sentence. @param name - The task as people write it. */
export function sentenceOf(name: string, status: TaskStatus, reasons: readonly Reason[]): string {
  const because = reasons.map(reasonInWords).filter((words) => words !== "");
  const state = status === "pending" || status === "ready" ? "has not started" : STATES[status];
  const text = `${name} ${state}${because.length > 0 ? `: ${because.join("; ")}` : ""}`;
  return text.endsWith(".") ? text : `${text}.`;
}

const STATES: Readonly<Record<Exclude<TaskStatus, "pending" | "ready">, string>> = {
  running: "is running",
  retrying: "failed and is tried again",
  waiting: "waits, and holds nothing",
  succeeded: "succeeded",
  failed: "failed",
  skipped: "was skipped",
  "upstream-failed": "did not run, as something before it failed",
  cancelled: "was cancelled",
};

/** A reason as part of a sentence. */
export function reasonInWords(reason: Reason): string {
  switch (reason.kind) {
    case "upstream":
      return upstreamInWords(reason);
    case "group":
      return `"${reason.group.task}", in which it stands, is ${reason.group.status}`;
    case "concurrency":
    case "pool":
    case "rate":
      return `there is no place for it (${reason.gate})`;
    case "timer":
      return `${TIMERS[reason.wait]} ${moment(reason.until)}`;
    case "signal":
      return `nobody has sent signal "${reason.signal}"${reason.key === undefined ? "" : `, or one to key "${reason.key}"`}`;
    case "run":
      return `run ${reason.runId}, which it started, has not ended`;
    case "paused":
      return "the run is paused; unpause it to go on";
    case "quarantined":
      return `the run is quarantined, as ${reason.crashes} engines died while it ran; resume it to go on`;
    case "queued":
      return QUEUED[reason.why](reason.until);
    case "elsewhere":
      return `the run belongs to engine ${reason.engineId}, which knows more`;
    case "running":
      return `attempt ${reason.attempt}${reason.since === undefined ? "" : ` since ${moment(reason.since)}`}`;
    case "inside":
      return `${reason.total - reason.open} of ${reason.total} have finished`;
    case "cache":
      return `its output was taken from run ${reason.runId}`;
    case "ended":
      return reason.words;
    case "due":
      return "nothing keeps it, and it is about to start";
  }
}

const TIMERS = { retry: "the next attempt is due", sleep: "it sleeps until", poll: "it looks again" } as const;

const QUEUED = {
  later: (until: EpochMs | undefined) => `the run is to start ${until === undefined ? "later" : moment(until)}`,
  "max-active-runs": () => "as many runs of the pipeline are active as may be (maxActiveRuns)",
  unclaimed: () => "no engine that has this version of the pipeline has taken the run up",
} as const;

function upstreamInWords({ rule, tasks }: Extract<Reason, { readonly kind: "upstream" }>): string {
  const named = tasks.slice(0, MAX_NAMED).map(({ task, status }) => `"${task}" (${status})`);
  const more = tasks.length > MAX_NAMED ? ` and ${tasks.length - MAX_NAMED} more` : "";
  return `its rule ${rule} looks at ${named.join(", ")}${more}`;
}

function moment(at: EpochMs): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? String(at) : date.toISOString();
}
