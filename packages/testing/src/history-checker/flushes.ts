/** Group commits as a whole: once each (24), and a bad value harms its own task alone (25). */
import type { Flushed, FlushedRun } from "./history.js";
import type { Report } from "./report.js";
import { keyOf, type RunModel } from "./run-model.js";
import type { World } from "./world.js";

export class Flushes {
  readonly rejected: Flushed[] = [];
  readonly #report: Report;
  readonly #applied = new Map<string, Flushed>();
  readonly #consumed = new Map<string, Flushed>();

  constructor(report: Report) {
    this.#report = report;
  }

  note(event: Flushed): void {
    if (event.outcome === "rejected") this.rejected.push(event);
    if (event.outcome !== "ok" || event.flush === undefined) return;
    const before = this.#applied.get(event.flush);
    this.#report.checked(24);
    if (before) this.#report.violated(24, undefined, `flush ${event.flush} was applied twice`, before, event);
    else this.#applied.set(event.flush, event);
  }

  /** A message is answered once. */
  consume(run: RunModel, { consumed }: FlushedRun, event: Flushed): void {
    for (const id of consumed) {
      const before = this.#consumed.get(id);
      this.#report.checked(24);
      if (before) this.#report.violated(24, run.id, `message ${id} was answered twice`, before, event);
      this.#consumed.set(id, event);
      run.inbox.delete(id);
    }
  }

  /** 25: what a store refuses is one value, and all else of the flush comes through. */
  checkRejected(world: World): void {
    const refused = world.evidence.facts?.refused;
    for (const event of this.rejected) {
      if (refused) this.#checkBlame(event, refused);
      for (const part of event.runs) this.#checkSurvivors(world, event, part);
    }
  }

  #checkBlame(event: Flushed, refused: readonly string[]): void {
    for (const value of event.rejected) {
      this.#report.checked(25);
      const part = event.runs.find(({ runId }) => runId === value.runId);
      const key = keyOf(value.task, value.index);
      const own = part?.tasks.filter((record) => keyOf(record.task, record.index) === key) ?? [];
      // A line, a step or a file of the task may be what is bad, and those are not recorded.
      if (part === undefined || part.logs > 0 || part.steps.length > 0 || own.length === 0) continue;
      const text = JSON.stringify(own);
      if (refused.some((token) => text.includes(token))) continue;
      this.#report.violated(25, value.runId, `${key} was refused with a flush, and holds nothing bad`, event);
    }
  }

  #checkSurvivors(world: World, event: Flushed, part: FlushedRun): void {
    const run = world.runs.get(part.runId);
    if (run === undefined || run.isAmbiguous || part.fenced) return;
    const named = new Set(
      event.rejected.filter(({ runId }) => runId === part.runId).map(({ task, index }) => keyOf(task, index)),
    );
    // Whoever wrote on must have written these; a crash in between loses what was in flight.
    const wroteOn = run.lastWrite !== undefined && run.lastWrite.seq > event.seq;
    const tenure = run.tenures.find(({ engine, epoch }) => engine === event.engine && epoch === part.epoch);
    const isCutOff = tenure?.end !== undefined && run.ends.every((end) => end.event !== tenure.end);
    if (!wroteOn || isCutOff) return;
    for (const attempt of part.attempts) {
      const key = keyOf(attempt.task, attempt.index);
      if (attempt.status === "running" || named.has(key)) continue;
      this.#report.checked(25);
      const seen = run.at(attempt.task, attempt.index, attempt.generation)?.attempts.get(attempt.attempt);
      if (seen?.record.status === attempt.status) continue;
      const why = `${key} ended ${attempt.status} in a flush that was refused for another's sake, and is ${seen?.record.status ?? "lost"}`;
      this.#report.violated(25, run.id, why, event, seen?.event);
    }
  }
}
