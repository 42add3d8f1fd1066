import type { EpochMs } from "../../clock.js";
import { isRunFinished, type RunRecord } from "../../contracts/records.js";
import type { ClaimRequest, CommitOutcome, LeaseState } from "../../contracts/storage.js";
import { WeftlineError } from "../../errors.js";
import { FreeRuns } from "./free-runs.js";
import type { RunStore } from "./run-store.js";

interface EngineEntry {
  leaseUntil: EpochMs;
  readonly owned: Set<RunStore>;
  /** The last commit and its answer, for one that is sent again. */
  lastFlush: { readonly id: string; readonly outcome: CommitOutcome } | undefined;
}

/** Which engine owns which unfinished run, and which runs are free to be claimed. */
export class Ownership {
  readonly #engines = new Map<string, EngineEntry>();
  readonly #free = new FreeRuns();
  /** By pipeline: how many of its unfinished runs have an owner. */
  readonly #active = new Map<string, number>();
  /** Pipelines of which a claim had to leave runs, because as many as may were active. */
  readonly #heldBack = new Set<string>();

  renew(engineId: string, leaseMs: number, now: EpochMs): LeaseState {
    const engine = this.#engines.get(engineId);
    const lost = engine !== undefined && engine.leaseUntil <= now;
    if (engine) engine.leaseUntil = now + leaseMs;
    else this.#engines.set(engineId, { leaseUntil: now + leaseMs, owned: new Set(), lastFlush: undefined });
    return { now, lost };
  }

  /** @returns Whether there were runs to give back. */
  release(engineId: string): boolean {
    const engine = this.#engines.get(engineId);
    this.#engines.delete(engineId);
    for (const run of engine?.owned ?? []) this.#disown(run);
    return engine !== undefined && engine.owned.size > 0;
  }

  get(engineId: string): EngineEntry | undefined {
    return this.#engines.get(engineId);
  }

  /** @throws {WeftlineError} `LEASE_LOST` */
  engine(engineId: string): EngineEntry {
    const engine = this.#engines.get(engineId);
    if (engine) return engine;
    throw new WeftlineError(
      "LEASE_LOST",
      `Cannot write for engine "${engineId}", which holds no lease. Call renewLease() first.`,
    );
  }

  /** Takes note of a run that is new or was opened again, or of a free one whose time has changed. */
  add(run: RunStore): void {
    if (run.record.owner === undefined) this.#free.add(run);
    else this.#own(run, run.record.owner);
  }

  claim(request: ClaimRequest, now: EpochMs): readonly RunRecord[] {
    this.#freeOrphans(now);
    this.engine(request.engineId);
    const claimed: RunRecord[] = [];
    for (const run of this.#free.claimable(request, (pipeline) => this.#hasRoom(pipeline, request))) {
      run.record = { ...run.record, owner: request.engineId, epoch: run.record.epoch + 1 };
      this.#own(run, request.engineId);
      claimed.push(run.record);
      if (claimed.length === request.limit) break;
    }
    return claimed;
  }

  /**
   * Writes a run's new state; a final one releases it.
   *
   * @returns Whether that makes room for a run that had to be left.
   */
  setState(run: RunStore, record: RunRecord): boolean {
    run.record = record;
    if (!isRunFinished(record.status)) return false;
    this.#engines.get(record.owner!)?.owned.delete(run);
    run.record = { ...record, owner: undefined };
    this.#countActive(record.pipeline, -1);
    return this.#heldBack.delete(record.pipeline);
  }

  nextWake(now: EpochMs): EpochMs | undefined {
    let earliest = this.#free.nextDue(now) ?? Number.POSITIVE_INFINITY;
    for (const { owned, leaseUntil } of this.#engines.values()) {
      if (owned.size > 0 && leaseUntil > now && leaseUntil < earliest) earliest = leaseUntil;
    }
    return Number.isFinite(earliest) ? earliest : undefined;
  }

  #own(run: RunStore, engineId: string): void {
    this.engine(engineId).owned.add(run);
    this.#countActive(run.record.pipeline, 1);
  }

  #disown(run: RunStore): void {
    run.record = { ...run.record, owner: undefined };
    this.#countActive(run.record.pipeline, -1);
    this.#free.add(run);
  }

  #freeOrphans(now: EpochMs): void {
    for (const { leaseUntil, owned } of this.#engines.values()) {
      if (leaseUntil > now) continue;
      for (const run of owned) this.#disown(run);
      owned.clear();
    }
  }

  #hasRoom(pipeline: string, { maxActiveRuns }: ClaimRequest): boolean {
    const max = Object.hasOwn(maxActiveRuns, pipeline) ? maxActiveRuns[pipeline]! : Number.POSITIVE_INFINITY;
    const hasRoom = (this.#active.get(pipeline) ?? 0) < max;
    if (!hasRoom) this.#heldBack.add(pipeline);
    return hasRoom;
  }

  #countActive(pipeline: string, change: 1 | -1): void {
    const active = (this.#active.get(pipeline) ?? 0) + change;
    if (active > 0) this.#active.set(pipeline, active);
    else this.#active.delete(pipeline);
  }
}
