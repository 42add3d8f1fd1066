import type { HistoryEvent } from "@weftline/testing";
import { type AttemptRecord, isRunFinished, type RunRecord, type TaskRecord } from "weftline";
import { type Asked, keyOf } from "./asked.js";
import type { Change } from "./change.js";
import { EngineLives } from "./engine-lives.js";
import { FlushParts } from "./flush-part.js";
import { differencesOf, type Finding } from "./kept-whole.js";
import { placeCalls } from "./place-calls.js";
import { StoredState } from "./stored.js";

export interface AuditedHistory {
  readonly history: readonly HistoryEvent[];
  /** Ids of all engines that ever held a lease. */
  readonly engines: readonly string[];
  /** What the checker of histories cannot see, as it knows only what was written. */
  readonly findings: readonly Finding[];
  /** How often what an engine asked for was held against what was written. */
  readonly comparisons: number;
}

/** An event without its number, which it gets when all are in their order. */
export type Unnumbered<Event = HistoryEvent> = Event extends HistoryEvent ? Omit<Event, "seq"> : never;

/**
 * Makes a history of what a database wrote down itself, and of what engines told of their calls.
 *
 * **The order.** Numbers of rows rise as rows are written, by whomever; transactions are put in the order of their last
 * rows. Of two that matter to each other, that is the order of their commits: the second had to see, or to wait for, a row
 * that the first one wrote, so whatever it wrote then has a higher number than all rows of the first. A flush holds its
 * engine's row until it commits, and the engine is forgotten, with its runs given back, under that same row's lock; a run
 * is claimed when it has been given back; it is sent messages, and ends, under its own row's lock; an instant is fired
 * under the lock of its schedule's row. Between others there is no order, and nobody may draw anything from it. Where one
 * writer follows the other (SQLite), rows are in the order of commits anyway.
 *
 * @param changes - In the order of writing.
 * @param leaseMs - Of all engines.
 */
export function auditedHistory(changes: readonly Change[], asked: Asked, leaseMs: number): AuditedHistory {
  const builder = new Builder(asked, leaseMs);
  for (const transaction of transactionsOf(changes)) builder.take(transaction);
  return builder.end();
}

/** Without numbers of transactions all rows are one: what is written of a flush then stands before it. */
function transactionsOf(changes: readonly Change[]): readonly (readonly Change[])[] {
  const byNumber = new Map<string | undefined, Change[]>();
  for (const change of changes) {
    const known = byNumber.get(change.tx);
    if (known === undefined) byNumber.set(change.tx, [change]);
    else known.push(change);
  }
  return [...byNumber.values()].sort((a, b) => a.at(-1)!.seq - b.at(-1)!.seq);
}

interface OpenFlush {
  readonly engine: string;
  readonly id: string;
  fenced: readonly string[];
}

class Builder {
  readonly #asked: Asked;
  readonly #events: Unnumbered[] = [];
  readonly #findings: Finding[] = [];
  readonly #runs = new Map<string, StoredState>();
  readonly #engines: EngineLives;
  readonly #signals = new Set<string>();
  readonly #specs = new Map<string, string>();
  readonly #taken = new Set<string>();
  readonly #parts = new FlushParts();
  #flush: OpenFlush | undefined;
  #comparisons = 0;

  constructor(asked: Asked, leaseMs: number) {
    this.#asked = asked;
    this.#engines = new EngineLives(leaseMs, (event) => this.#events.push(event));
  }

  take(transaction: readonly Change[]): void {
    const isNumbered = transaction[0]!.tx !== undefined;
    for (const [place, change] of transaction.entries()) {
      this.#change(change, transaction[place + 1]);
      // With one writer a flush's own row is its last.
      if (!isNumbered && this.#flush) this.#endFlush(change.at);
    }
    if (this.#flush) this.#endFlush(transaction.at(-1)!.at);
    this.#noteStrays();
  }

  end(): AuditedHistory {
    this.#noteLost();
    const history = placeCalls(this.#events, this.#asked);
    return {
      history: history.map((event, place) => ({ ...event, seq: place + 1 }) as HistoryEvent),
      engines: this.#engines.ids,
      findings: this.#findings,
      comparisons: this.#comparisons,
    };
  }

  #change(change: Change, next: Change | undefined): void {
    switch (change.kind) {
      case "engine":
        return change.change === "D" ? this.#engines.forgotten(change) : this.#engines.held(change);
      case "flush":
        this.#flush = { engine: change.engine, id: change.id, fenced: change.fenced };
        return;
      case "run":
        return this.#run(change);
      case "task":
        return this.#task(change.task, change.first);
      case "attempt":
        return this.#attempt(change.attempt);
      case "step": {
        const { runId, task, index, generation, step } = change;
        return this.#parts.add(runId, "steps", { task, index, generation, step });
      }
      case "message":
        return this.#message(change);
      case "schedule":
        return this.#schedule(change, next);
    }
  }

  // ---- Runs

  #run({ run, change, at }: Change & { readonly kind: "run" }): void {
    const state = this.#runs.get(run.id);
    if (change === "D") {
      this.#events.push({ type: "deleted", runId: run.id, at });
    } else if (state === undefined) {
      this.#runs.set(run.id, new StoredState(run));
      this.#created(run, at);
    } else {
      const before = state.run;
      state.run = run;
      this.#updated(before, run, at);
    }
  }

  #created(run: RunRecord, at: number): void {
    const { id: runId, pipeline, definition, params, key, fingerprint, parent, owner } = run;
    const { createdAt, availableAt, schedule, instant } = run;
    this.#events.push({
      ...{ type: "created", runId, pipeline, definition, params, key, fingerprint, parent },
      ...{ createdAt, availableAt, schedule, instant, owner, at },
    });
  }

  #updated(before: RunRecord, run: RunRecord, at: number): void {
    const { id: runId, owner, epoch, crashes, status } = run;
    const isFreed = before.owner !== undefined && owner === undefined && before.status === status;
    if (owner !== undefined && owner !== before.owner) {
      this.#events.push({ type: "claimed", runId, engine: owner, epoch, crashes, status, at });
    } else if (isFreed) {
      if (status === "running") this.#engines.gaveBack(before.owner!, crashes > before.crashes, at);
    } else if (!isReopened(before, run) && !isOnlyMoved(before, run)) this.#parts.state(run);
  }

  // ---- What a flush writes

  #task(task: TaskRecord, first: AttemptRecord | undefined): void {
    const state = this.#runs.get(task.runId)!;
    // A row is also written when an attempt gets a row of its own.
    if (JSON.stringify(state.task(task)) !== JSON.stringify(task)) this.#parts.add(task.runId, "tasks", task);
    state.putTask(task);
    if (first) this.#attempt(first);
  }

  /** A store moves first attempts to rows of their own and writes them with their tasks, as they were: that is no write of an engine. */
  #attempt(attempt: AttemptRecord): void {
    const state = this.#runs.get(attempt.runId)!;
    const isMoved = attempt.attempt === 1 && isAsBefore(state.attempt(attempt), attempt);
    if (!isMoved) this.#parts.add(attempt.runId, "attempts", attempt);
    state.putAttempt(attempt);
  }

  #endFlush(at: number): void {
    const { engine, id, fenced } = this.#flush!;
    this.#flush = undefined;
    this.#taken.add(keyOf(engine, id));
    const asked = this.#asked.get(engine, id);
    if (asked === undefined) this.#found(24, undefined, `the store took flush ${id} of ${engine}, which never sent it`);
    if (!this.#engines.isAlive(engine) && !this.#parts.isEmpty) {
      const runs = this.#parts.runIds.join(", ");
      this.#found(15, runs, `${engine} wrote with flush ${id}, and had no lease any more`);
    }
    const runs = this.#parts.take(fenced, (runId) => asked?.runs.get(runId)?.epoch);
    const sends = asked?.sends ?? 1;
    this.#events.push({ type: "flushed", flush: id, engine, outcome: "ok", runs, rejected: [], sends, at });
    for (const [runId, request] of asked?.runs ?? []) {
      if (fenced.includes(runId)) continue;
      this.#comparisons++;
      this.#findings.push(...differencesOf(id, request, this.#runs.get(runId)));
    }
  }

  /** What somebody wrote who was no engine that flushes. */
  #noteStrays(): void {
    if (this.#parts.isEmpty) return;
    const runs = this.#parts.runIds.join(", ");
    this.#parts.take([], () => undefined);
    this.#found(24, runs, "something was written of the run outside of any flush");
  }

  /** What an engine was told is written has to be. */
  #noteLost(): void {
    for (const [key, { engine, flush, runs, answer }] of this.#asked.flushes) {
      if (answer?.outcome !== "ok" || this.#taken.has(key)) continue;
      const kept = [...runs.keys()].filter((runId) => !answer.fenced.includes(runId));
      if (kept.length === 0) continue;
      this.#found(22, kept.join(", "), `flush ${flush} of ${engine} was confirmed, and the store never took it`);
    }
  }

  // ---- Messages and schedules

  #message(change: Change & { readonly kind: "message" }): void {
    const { id, runId, message, task, tasks, key, at } = change;
    const inbox = runId === undefined ? undefined : this.#runs.get(runId)?.inbox;
    if (change.change === "D") {
      inbox?.delete(id);
      if (runId !== undefined && !this.#parts.hasEnded(runId)) this.#parts.add(runId, "consumed", id);
      return;
    }
    inbox?.add(id);
    // A signal to a key that moves to the inbox of a run is not sent again.
    if (this.#signals.has(id) || change.change === "U") return;
    if (runId === undefined) this.#signals.add(id);
    this.#events.push({
      ...{ type: "sent", id, runId, message, task, at },
      ...(tasks && { tasks }),
      ...(key !== undefined && { key }),
    });
  }

  #schedule({ schedule, change, at }: Change & { readonly kind: "schedule" }, next: Change | undefined): void {
    const { id, spec, lastAt, nextAt } = schedule;
    const isFired = change === "U" && this.#specs.get(id) === spec && lastAt !== undefined;
    this.#specs.set(id, spec);
    if (!isFired) {
      this.#events.push({ type: "scheduled", schedule, at });
      return;
    }
    // The run that an instant makes is made in the same call.
    const run = next?.kind === "run" && next.change === "I" && next.run.schedule === id ? next.run : undefined;
    const made = { runId: run?.id, instant: run?.instant };
    this.#events.push({ type: "fired", schedule: id, expected: lastAt, next: nextAt, ...made, at });
  }

  #found(invariant: number, runId: string | undefined, why: string): void {
    this.#findings.push({ invariant, runId, why });
  }
}

/** A resume or a rerun lets a run that had ended go on. */
function isReopened(before: RunRecord, run: RunRecord): boolean {
  return isRunFinished(before.status) && run.status === "queued";
}

/** Its moment came, or was brought forward by a cancel, which no owner writes. */
function isOnlyMoved(before: RunRecord, run: RunRecord): boolean {
  return JSON.stringify({ ...before, availableAt: run.availableAt }) === JSON.stringify(run);
}

function isAsBefore(before: AttemptRecord | undefined, attempt: AttemptRecord): boolean {
  return (
    before !== undefined &&
    before.status === attempt.status &&
    before.startedAt === attempt.startedAt &&
    before.finishedAt === attempt.finishedAt &&
    before.engineId === attempt.engineId
  );
}
