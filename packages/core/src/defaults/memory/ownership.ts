import type { EpochMs } from "../../clock.js";
import { isRunFinished, type RunRecord } from "../../contracts/records.js";
import type { ClaimRequest, CommitOutcome, LeaseRequest, LeaseState, LookRequest } from "../../contracts/storage.js";
import { WeftlineError } from "../../errors.js";
import { FreeRuns, isFree } from "./free-runs.js";
import type { RunStore } from "./run-store.js";

export interface EngineEntry {
  leaseUntil: EpochMs;
  definitions: readonly string[];
  readonly owned: Set<RunStore>;
  /** The last commit and its answer, for one that is sent again. */
  lastFlush: { readonly id: string; readonly number: number; readonly outcome: CommitOutcome } | undefined;
}

/** Which engine owns which unfinished run, and which runs are free to be claimed. */
export class Ownership {
  readonly #engines = new Map<string, EngineEntry>();
  readonly #free = new FreeRuns();
  /** By pipeline: how many of its unfinished runs have an owner. */
  readonly #active = new Map<string, number>();
  /** Pipelines of which a claim had to leave runs, because as many as may were active. */
  readonly #heldBack = new Set<string>();

  renew({ engineId, leaseMs, isNew, definitions }: LeaseRequest, now: EpochMs): LeaseState {
    const known = this.#engines.get(engineId);
    const isDead = known !== undefined && known.leaseUntil <= now;
    if (isDead) this.#die(engineId, known);
    const leaseUntil = now + leaseMs;
    if (known === undefined || isDead) {
      this.#engines.set(engineId, { leaseUntil, definitions, owned: new Set(), lastFlush: undefined });
    } else {
      known.leaseUntil = leaseUntil;
      known.definitions = definitions;
    }
    return { now, lost: isDead || (known === undefined && !isNew) };
  }

  release(engineId: string): void {
    const engine = this.#engines.get(engineId);
    this.#engines.delete(engineId);
    for (const run of engine?.owned ?? []) this.#giveBack(run, run.record.crashes);
  }

  get engines(): ReadonlyMap<string, EngineEntry> {
    return this.#engines;
  }

  owns(engineId: string): boolean {
    return (this.#engines.get(engineId)?.owned.size ?? 0) > 0;
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

  /** Gives back the runs of every engine whose lease has run out. */
  buryDead(now: EpochMs): void {
    for (const [id, engine] of this.#engines) if (engine.leaseUntil <= now) this.#die(id, engine);
  }

  claim(request: ClaimRequest): readonly RunRecord[] {
    this.engine(request.engineId);
    const claimed: RunRecord[] = [];
    for (const run of this.#free.claimable(request, (pipeline) => this.#hasRoom(pipeline, request))) {
      claimed.push(this.#take(run, request.engineId));
      if (claimed.length === request.limit) break;
    }
    return claimed;
  }

  /** Claims one run if it is free, whatever its definition and time. */
  claimOne(run: RunStore | undefined, { engineId, suspectFrom, suspects }: ClaimRequest): readonly RunRecord[] {
    this.engine(engineId);
    if (run === undefined || !isFree(run)) return [];
    return run.record.crashes >= suspectFrom && suspects === 0 ? [] : [this.#take(run, engineId)];
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

  /** Whether a claim may find something. @param storeNow - By which leases are judged. */
  isAnyClaimable(request: LookRequest, storeNow: EpochMs): boolean {
    if (this.#free.isAnyDue(request)) return true;
    for (const { owned, leaseUntil } of this.#engines.values()) {
      if (owned.size > 0 && leaseUntil <= storeNow) return true;
    }
    return false;
  }

  /** When it may find something next: a run is due, or the lease of another engine ends. */
  nextWake(request: LookRequest): EpochMs | undefined {
    let earliest = this.#free.nextDue(request) ?? Number.POSITIVE_INFINITY;
    for (const [id, { owned, leaseUntil }] of this.#engines) {
      if (id === request.engineId || owned.size === 0) continue;
      if (leaseUntil > request.now && leaseUntil < earliest) earliest = leaseUntil;
    }
    return Number.isFinite(earliest) ? earliest : undefined;
  }

  #own(run: RunStore, engineId: string): void {
    this.engine(engineId).owned.add(run);
    this.#countActive(run.record.pipeline, 1);
  }

  #take(run: RunStore, engineId: string): RunRecord {
    run.record = { ...run.record, owner: engineId, epoch: run.record.epoch + 1 };
    this.#own(run, engineId);
    return run.record;
  }

  #giveBack(run: RunStore, crashes: number): void {
    run.record = { ...run.record, owner: undefined, crashes };
    this.#countActive(run.record.pipeline, -1);
    this.#free.add(run);
  }

  /** What was running may be what has brought the engine down. */
  #die(engineId: string, { owned }: EngineEntry): void {
    this.#engines.delete(engineId);
    for (const run of owned) {
      const { status, crashes } = run.record;
      this.#giveBack(run, status === "running" ? crashes + 1 : crashes);
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
