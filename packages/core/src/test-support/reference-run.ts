import type { RunStatus, TaskStatus } from "../contracts/records.js";
import type { Decision, TriggerRule } from "../define/trigger-rules.js";

/** How an upstream task ended; a cancelled one counts as failed. */
export type Report = "succeeded" | "failed" | "skipped" | "upstream-failed";

/** A task of a pipeline as the reference sees it; tasks are told apart by their place. */
export interface ReferenceTask {
  readonly rule: TriggerRule;
  readonly allowFailure: boolean;
  /** The tasks before it, in any order; `choice`: only when that branch chose it. */
  readonly upstream: readonly { readonly from: number; readonly choice: string | undefined }[];
}

/** The trigger rules word by word, over lists: slow, and nothing like the engine's counters. */
export function referenceDecision(rule: TriggerRule, reports: readonly (Report | undefined)[]): Decision {
  const any = (...kinds: Report[]) => reports.some((report) => report !== undefined && kinds.includes(report));
  const all = (...kinds: Report[]) => reports.every((report) => report !== undefined && kinds.includes(report));
  const done = reports.every((report) => report !== undefined);
  if (reports.length === 0) return "run";
  switch (rule) {
    case "always":
      return "run";
    case "all-success":
      if (any("failed", "upstream-failed")) return "upstream-failed";
      return any("skipped") ? "skip" : done ? "run" : "wait";
    case "all-failed":
      return any("succeeded", "skipped") ? "skip" : done ? "run" : "wait";
    case "all-skipped":
      return all("skipped") ? "run" : any("succeeded", "failed", "upstream-failed") ? "skip" : "wait";
    case "all-done":
      return done ? "run" : "wait";
    case "all-done-min-one-success":
      if (any("skipped")) return "skip";
      return !done ? "wait" : any("succeeded") ? "run" : "upstream-failed";
    case "one-success":
      if (any("succeeded")) return "run";
      return !done ? "wait" : all("skipped") ? "skip" : "upstream-failed";
    case "one-failed":
      return any("failed", "upstream-failed") ? "run" : done ? "skip" : "wait";
    case "one-done":
      return any("succeeded", "failed") ? "run" : done ? "skip" : "wait";
    case "none-failed":
      return any("failed", "upstream-failed") ? "upstream-failed" : done ? "run" : "wait";
    case "none-failed-min-one-success":
      if (any("failed", "upstream-failed")) return "upstream-failed";
      return !done ? "wait" : any("succeeded") ? "run" : "skip";
    case "none-skipped":
      return any("skipped") ? "skip" : done ? "run" : "wait";
  }
}

/** What becomes of a run's tasks, worked out afresh over the whole graph each time one of them finishes. */
export class ReferenceRun {
  /** By task; `undefined`: it has not finished. */
  readonly statuses: (TaskStatus | undefined)[];
  /** Tasks whose rule lets them run. */
  readonly started: Set<number>;
  readonly #tasks: readonly ReferenceTask[];
  readonly #choices = new Map<number, string>();
  /** Finished tasks that those after them know of. */
  readonly #known = new Set<number>();
  #stopped: RunStatus | undefined;

  constructor(tasks: readonly ReferenceTask[]) {
    this.#tasks = tasks;
    this.statuses = tasks.map(() => undefined);
    this.started = new Set(tasks.keys());
    for (const task of tasks.keys()) if (this.#decide(task) !== "run") this.started.delete(task);
  }

  /** A task finished by itself; what that decides for others follows, one task after the other. */
  finish(task: number, status: TaskStatus, choice?: string): void {
    this.statuses[task] = status;
    if (choice !== undefined) this.#choices.set(task, choice);
    const finished = [task];
    for (const source of finished) {
      this.#known.add(source);
      for (const next of this.#after(source)) {
        if (this.started.has(next) || this.statuses[next] !== undefined || this.#stopped !== undefined) continue;
        const decision = this.#decide(next);
        if (decision === "run") this.started.add(next);
        if (decision === "run" || decision === "wait") continue;
        this.statuses[next] = decision === "skip" ? "skipped" : "upstream-failed";
        finished.push(next);
      }
    }
  }

  /** From here on only what is finished explicitly finishes. */
  stop(outcome: RunStatus): void {
    this.#stopped = outcome;
  }

  outcome(failWhen: "any" | "leaves"): RunStatus {
    if (this.#stopped !== undefined) return this.#stopped;
    const bad = failWhen === "any" ? ["failed", "cancelled"] : ["failed", "cancelled", "upstream-failed"];
    const counts = (task: number) => failWhen === "any" || this.#after(task).length === 0;
    const fails = (task: number) => bad.includes(this.statuses[task]!) && !this.#tasks[task]!.allowFailure;
    return [...this.#tasks.keys()].some((task) => counts(task) && fails(task)) ? "failed" : "succeeded";
  }

  #decide(task: number): Decision {
    const { rule, upstream } = this.#tasks[task]!;
    const sources = [...new Set(upstream.map(({ from }) => from))];
    return referenceDecision(
      rule,
      sources.map((from) => this.#report(from, task)),
    );
  }

  #report(from: number, task: number): Report | undefined {
    const status = this.#known.has(from) ? this.statuses[from] : undefined;
    if (status === undefined) return undefined;
    const choice = this.#choices.get(from);
    if (choice !== undefined && !this.#isOnPath(from, choice, task)) return "skipped";
    return status === "cancelled" ? "failed" : (status as Report);
  }

  /** Whether a branch that chose `choice` leads to the task: directly, without a condition, or by way of others. */
  #isOnPath(branch: number, choice: string, task: number): boolean {
    const conditions = this.#choicesOf(branch, task);
    if (conditions.length === 0 || conditions.includes(choice)) return true;
    const chosen = this.#after(branch).filter((target) => this.#choicesOf(branch, target).includes(choice));
    const isBehindChosen = (one: number): boolean =>
      chosen.includes(one) || this.#tasks[one]!.upstream.some(({ from }) => isBehindChosen(from));
    return isBehindChosen(task);
  }

  #choicesOf(branch: number, task: number): readonly string[] {
    return this.#tasks[task]!.upstream.flatMap(({ from, choice }) =>
      from === branch && choice !== undefined ? [choice] : [],
    );
  }

  #after(source: number): readonly number[] {
    return [...this.#tasks.keys()].filter((task) => this.#tasks[task]!.upstream.some(({ from }) => from === source));
  }
}
