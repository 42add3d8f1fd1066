import { checkActiveRuns } from "./active-runs.js";
import { checkBudget, noteAttempt } from "./attempts.js";
import { byGeneration } from "./by-generation.js";
import { checkDelete, checkRecreation } from "./deleting.js";
import { Flushes } from "./flushes.js";
import {
  checkComplete,
  checkJoin,
  checkSettled,
  checkStart,
  type Premature,
  ruleAfter,
  ruleAnew,
  ruleAround,
} from "./graph.js";
import type {
  Flushed,
  FlushedRun,
  HistoryEvent,
  LeaseChanged,
  MessageSent,
  RunCreated,
  RunDeleted,
  RunRemapped,
} from "./history.js";
import { checkClaim, checkWrite } from "./ownership.js";
import { checkLoaded } from "./recovery.js";
import type { Report } from "./report.js";
import { type Instance, isFinal, isFinalRun, keyOf, type RunModel } from "./run-model.js";
import { applyState, checkRunStatus, checkStillOpen } from "./run-status.js";
import { checkGeneration, checkStep } from "./transitions.js";
import type { World } from "./world.js";

/** Goes through the history once, checking each event against what the ones before it add up to. */
export class Replay {
  readonly premature: Premature[] = [];
  readonly flushes: Flushes;
  readonly #world: World;
  readonly #report: Report;

  constructor(world: World, report: Report) {
    this.#world = world;
    this.#report = report;
    this.flushes = new Flushes(report);
  }

  run(): void {
    for (const event of this.#world.evidence.history) this.#apply(event);
  }

  #apply(event: HistoryEvent): void {
    switch (event.type) {
      case "created":
        return this.#created(event);
      case "claimed": {
        const run = this.#world.run(event.runId);
        checkClaim(this.#world, run, event, this.#report);
        run.crashes = event.crashes;
        run.beginTenure(event.engine, event.epoch, event);
        return checkActiveRuns(this.#world, run, event, this.#report);
      }
      case "loaded":
        return checkLoaded(this.#world.run(event.runId), event, this.#report);
      case "flushed":
        return this.#flushed(event);
      case "lease":
        return this.#lease(event);
      case "sent":
        return this.#sent(event);
      case "remapped":
        return this.#remapped(event);
      case "deleted":
        return this.#deleted(event);
      default:
        return;
    }
  }

  #created(event: RunCreated): void {
    const run = this.#world.run(event.runId);
    if (run.created !== undefined) {
      checkRecreation(run, event, this.#report);
      this.#report.violated(24, run.id, "the run was created twice", run.created, event);
      return;
    }
    run.created = event;
    run.params = event.params;
    run.adoptShape(event.definition, this.#world.evidence.shapes);
    this.#report.checked(14);
    if (event.owner !== undefined) run.beginTenure(event.owner, 1, event);
  }

  #deleted(event: RunDeleted): void {
    const run = this.#world.run(event.runId);
    checkDelete(this.#world, run, event, this.#report);
    run.deleted = event;
  }

  #lease({ engine, change, ...event }: LeaseChanged): void {
    if (change === "renewed" || (change === "registered" && !this.#hadDied(engine, event))) return;
    for (const run of this.#world.runs.values()) {
      if (run.owner !== engine) continue;
      if (change !== "released" && run.status === "running") run.crashes++;
      run.endTenure({ engine, change, ...event });
    }
  }

  /** An engine that begins once more, as a start without an answer is tried again, may have died between the two. */
  #hadDied(engine: string, { at, seq }: Omit<LeaseChanged, "engine" | "change">): boolean {
    const until = this.#world.leaseUntil(engine, at, seq - 1);
    return until !== undefined && until <= at;
  }

  #sent(event: MessageSent): void {
    if (event.runId === undefined) return;
    const run = this.#world.run(event.runId);
    run.sent.push(event);
    run.inbox.set(event.id, event);
    if (event.message !== "resume" && event.message !== "rerun") return;
    run.ended = undefined;
    run.status = "queued";
    run.crashes = 0;
  }

  #remapped(event: RunRemapped): void {
    const run = this.#world.run(event.runId);
    run.remaps.push(event);
    const moves = new Map(event.tasks.map((move) => [move.from, move]));
    run.adoptShape(event.definition, this.#world.evidence.shapes);
    run.move(moves);
    for (const instance of run.current.values()) ruleAnew(run, instance, event);
    for (const instance of run.current.values()) if (instance.ended) ruleAfter(run, instance, event);
  }

  #flushed(event: Flushed): void {
    this.flushes.note(event);
    if (event.outcome === "rejected") return;
    for (const part of event.runs) {
      const run = this.#world.run(part.runId);
      if (event.outcome === "unknown") run.isAmbiguous = true;
      else if (!part.fenced) this.#write(run, part, event);
    }
  }

  #write(run: RunModel, part: FlushedRun, event: Flushed): void {
    if (!checkWrite(run, part, event, this.#report)) return;
    checkStillOpen(run, event, this.#report);
    const isOpened = opens(run, part);
    this.flushes.consume(run, part, event);
    for (const pass of byGeneration(run, part)) this.#pass(run, pass, event, isOpened);
    run.lastWrite = event;
    if (part.run === undefined) return;
    checkRunStatus(this.#world, run, part.run, event, this.#report);
    applyState(run, part, event);
    if (isFinalRun(part.run.status) && part.run.status !== "quarantined") checkComplete(run, event, this.#report);
  }

  #pass(run: RunModel, part: FlushedRun, event: Flushed, isOpened: boolean): void {
    const written = this.#records(run, part, event, isOpened);
    const opened = isOpened ? written.filter(({ isAnew }) => isAnew) : [];
    for (const { instance } of opened) ruleAround(run, instance, event);
    this.#attempts(run, part, event);
    this.#follow(run, written, event);
    for (const { instance } of opened) ruleAround(run, instance, event); // what was decided anew of those around it
  }

  /** @returns What was written, and whether it was opened with that. */
  #records(run: RunModel, part: FlushedRun, event: Flushed, isOpened: boolean): readonly Written[] {
    const written: Written[] = [];
    for (const record of part.tasks) {
      const known = run.current.get(keyOf(record.task, record.index));
      const instance = run.instanceOf(record);
      const isNew = instance.record === undefined;
      checkStep(run, instance, record, isOpened, event, this.#report);
      const wasFinal = instance.record !== undefined && isFinal(instance.record.status);
      instance.record = record;
      instance.event = event;
      const isEnd = isFinal(record.status);
      if (!isEnd) instance.ended = undefined;
      else if (!wasFinal || isOpened) instance.ended = event;
      const isAnew = (isNew && known !== undefined && known !== instance) || (wasFinal && !isEnd);
      written.push({ instance, isAnew, isNewGeneration: isNew && known !== undefined && known !== instance });
      checkBudget(run, instance, record, event, this.#report);
    }
    for (const { instance, isNewGeneration } of written) {
      if (isNewGeneration && this.#world.isRecorded) checkGeneration(run, instance, isOpened, event, this.#report);
    }
    return written;
  }

  #attempts(run: RunModel, part: FlushedRun, event: Flushed): void {
    for (const record of part.attempts) {
      const instance = run.instanceOf(record);
      const isFirst = noteAttempt(run, instance, record, event, this.#report);
      if (isFirst && this.#world.isRecorded) checkStart(run, instance, event, this.#report);
    }
  }

  /** What follows from the records, once all of the flush are in. */
  #follow(run: RunModel, written: readonly Written[], event: Flushed): void {
    for (const { instance } of written) {
      if (instance.ended !== event) continue;
      checkSettled(run, instance, event, this.#report, this.premature);
      if (this.#world.isRecorded) checkJoin(run, instance, event, this.#report);
    }
    for (const { instance, isAnew } of written) if (isAnew) ruleAnew(run, instance, event);
    for (const { instance } of written) if (instance.ended === event) ruleAfter(run, instance, event);
  }
}

interface Written {
  readonly instance: Instance;
  readonly isAnew: boolean;
  readonly isNewGeneration: boolean;
}

/** The flush answers a resume or a rerun. Of a message that nobody saw being sent it may be. */
function opens(run: RunModel, { consumed }: FlushedRun): boolean {
  return consumed.some((id) => {
    const message = run.inbox.get(id)?.message;
    return message === "resume" || message === "rerun";
  });
}
