import type { RunStatus, TaskStatus, Wait } from "weftline";
import { count, moment, plainLine } from "../text.js";
import type { Style } from "./line.js";

interface StatusStyle {
  readonly symbol: string;
  readonly style: Style;
}

/** How each status looks, everywhere. `running` is drawn as a spinner where the view moves. */
export const STATUS_STYLES: Readonly<Record<TaskStatus | RunStatus, StatusStyle>> = {
  pending: { symbol: "·", style: "dim" },
  queued: { symbol: "·", style: "dim" },
  ready: { symbol: "·", style: "dim" },
  running: { symbol: "▸", style: "cyan" },
  retrying: { symbol: "↻", style: "yellow" },
  waiting: { symbol: "◷", style: "cyan" },
  paused: { symbol: "‖", style: "yellow" },
  succeeded: { symbol: "✓", style: "green" },
  failed: { symbol: "✗", style: "red" },
  quarantined: { symbol: "✗", style: "red" },
  skipped: { symbol: "○", style: "dim" },
  "upstream-failed": { symbol: "⊘", style: "red" },
  cancelled: { symbol: "■", style: "yellow" },
};

/** `3 succeeded, 1 failed`, in the order of a task's life. */
export function describeCounts(counts: ReadonlyMap<TaskStatus, number>): string {
  return (Object.keys(STATUS_STYLES) as TaskStatus[])
    .filter((status) => counts.has(status))
    .map((status) => `${counts.get(status)!.toLocaleString("en")} ${status}`)
    .join(", ");
}

/** What a task waits for. @param task - Its id, by which a signal is sent to it. */
export function describeWait(wait: Wait, task: string): string {
  switch (wait.kind) {
    case "sleep":
      return `sleeps until ${moment(wait.until)}`;
    case "poll":
      return `looks again at ${moment(wait.until)}, ${count(wait.probes, "look")} so far`;
    case "signal":
      return `waits for signal "${task}"${wait.key === undefined ? "" : `, or to key "${plainLine(wait.key)}"`}`;
    case "run":
      return `waits for run ${wait.runId}`;
  }
}
