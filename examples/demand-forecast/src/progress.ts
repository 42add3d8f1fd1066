import { type Engine, type TaskEvent, taskName } from "weftline";

/** Prints a line for each change of a task's state, and for each line a task logs. */
export function printProgress(engine: Engine, print: (line: string) => void): void {
  const startedAt = Date.now();
  const say = ({ task, index }: TaskEvent, status: string, text = "") => {
    const elapsed = `${((Date.now() - startedAt) / 1000).toFixed(2)} s`;
    print(`${elapsed.padStart(8)}  ${taskName(task, index).padEnd(11)} ${status.padEnd(15)} ${text}`.trimEnd());
  };

  engine.on("task:started", (event) => say(event, "running", attemptText(event.attempt)));
  engine.on("task:log", (event) => say(event, "log", event.message));
  engine.on("task:expanded", (event) => say(event, "expanded", `${event.items} items`));
  engine.on("task:retrying", (event) => {
    const delay = Math.max(0, event.retryAt - event.at);
    say(event, "retrying", `${event.error.message}; attempt ${event.attempt + 1} in ${delay} ms`);
  });
  engine.on("task:finished", (event) => {
    const outcome = event.error?.message ?? event.reason;
    const facts = [event.attempt > 0 && `${event.durationMs} ms`, attemptText(event.attempt), outcome];
    say(event, event.status, facts.filter(Boolean).join(", "));
  });
  engine.on("run:finished", ({ status, durationMs }) => print(`Run ${status} after ${durationMs} ms\n`));
}

/** The first attempt is what everybody expects, so only later ones are worth a word. */
function attemptText(attempt: number): string {
  return attempt > 1 ? `attempt ${attempt}` : "";
}
