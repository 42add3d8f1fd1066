import type { NamedEvent, TaskStatus, Wait } from "weftline";
import type { ProgressModel } from "../progress/progress-model.js";

interface Details {
  readonly index?: readonly number[];
  readonly attempt?: number;
}

interface EndDetails extends Details {
  readonly because?: string;
  readonly warning?: string;
  readonly cachedFrom?: string;
}

/** When the runs of these tests start, in epoch milliseconds. */
export const START = 1_000_000;

/** Events of one run, as an engine would tell them; moments count from the run's start. */
export function eventsAt(ms: number) {
  const run = { runId: "run", pipeline: "p", at: START + ms };
  const event = <Name extends NamedEvent["name"]>(name: Name, facts: object) =>
    ({ name, ...run, ...facts }) as Extract<NamedEvent, { name: Name }>;
  const task = (id: string, { index = [], attempt = 1 }: Details = {}) => ({ task: id, index, attempt });
  const error = (message: string) => ({ name: "Error", message });
  return {
    runStarted: () => event("run:started", { resumed: false }),
    runFinished: (status: string) => event("run:finished", { status, durationMs: ms, error: undefined }),
    started: (id: string, details?: Details) => event("task:started", { ...task(id, details), executor: "default" }),
    expanded: (id: string, items: number, index: readonly number[] = []) =>
      event("task:expanded", { ...task(id, { attempt: 0, index }), items }),
    retrying: (id: string, retryInMs: number, message: string, details?: Details) =>
      event("task:retrying", { ...task(id, details), error: error(message), retryAt: START + ms + retryInMs }),
    waiting: (id: string, wait: Wait, details?: Details) => event("task:waiting", { ...task(id, details), wait }),
    finished: (id: string, status: TaskStatus, durationMs: number, details: EndDetails = {}) =>
      event("task:finished", {
        ...task(id, details),
        status,
        durationMs,
        error: status === "failed" ? error(details.because ?? "broken") : undefined,
        reason: status === "failed" ? undefined : details.because,
        warning: details.warning,
        cachedFrom: details.cachedFrom,
      }),
    progress: (id: string, fraction: number, message?: string, details?: Details) =>
      event("task:progress", { ...task(id, details), fraction, message }),
    log: (id: string, message: string, level: "debug" | "info" | "warn" = "info", details?: Details) =>
      event("task:log", { ...task(id, details), level, message }),
  };
}

export function applyAll(model: ProgressModel, events: readonly NamedEvent[]): void {
  for (const event of events) model.apply(event);
}
