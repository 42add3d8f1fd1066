import type { Evidence, Fault, HistoryEvent, LeaseChanged, Settings, WitnessLine } from "./history.js";
import { RunModel } from "./run-model.js";

/** The settings with their defaults. */
export interface Bounds {
  readonly leaseMs: number;
  readonly pollMs: number;
  readonly skewMs: number;
  readonly workMs: number;
  readonly flushMs: number;
  readonly settleMs: number;
  readonly quarantineAfter: number;
  /** When the observer stopped looking. */
  readonly until: number;
}

/** Faults during which an owner may believe what is not so any more, and another take over. */
export const OWNER_FAULTS: ReadonlySet<Fault["kind"]> = new Set([
  ...(["kill", "pause", "block", "partition", "clock-step", "stop"] as const),
  ...(["storage-error", "lost-reply", "storage-slow", "late-call", "store-down"] as const),
]);

/** The evidence, ordered for the checks. */
export class World {
  readonly evidence: Evidence;
  readonly settings: Settings;
  readonly bounds: Bounds;
  readonly isRecorded: boolean;
  readonly runs = new Map<string, RunModel>();
  /** By engine: its changes by the store's clock. */
  readonly leases: ReadonlyMap<string, readonly LeaseChanged[]>;
  readonly witness: ReadonlyMap<string, readonly WitnessLine[]>;
  readonly #names: Readonly<Record<string, string>>;
  readonly #faults: readonly Fault[];

  constructor(evidence: Evidence) {
    this.evidence = evidence;
    this.settings = evidence.settings ?? {};
    this.isRecorded = evidence.source === "recorded";
    this.bounds = boundsOf(evidence, this.settings);
    this.#names = evidence.facts?.engines ?? {};
    this.#faults = evidence.faults;
    this.leases = leasesOf(evidence.history);
    this.witness = groupBy(evidence.witness, ({ runId }) => runId);
  }

  run(id: string): RunModel {
    let model = this.runs.get(id);
    if (model === undefined) {
      model = new RunModel(id);
      this.runs.set(id, model);
    }
    return model;
  }

  /** An engine's name in the witness and fault logs. */
  nameOf(engineId: string): string {
    return this.#names[engineId] ?? engineId;
  }

  /**
   * Until when the engine's lease held, as it stood at a moment; `undefined`: it had none.
   *
   * @param seq - Of the event it is asked for, as others may have the same moment.
   */
  leaseUntil(engineId: string, at: number, seq = Number.POSITIVE_INFINITY): number | undefined {
    const changes = this.leases.get(engineId);
    if (changes === undefined) return undefined;
    let until: number | undefined;
    for (const change of changes) {
      if (change.at > at || change.seq > seq) break;
      until = change.until;
    }
    return until;
  }

  hasLeases(engineId: string): boolean {
    return this.leases.has(engineId);
  }

  /** Faults of an engine, or of everybody, that touch a stretch of time. @param name - `undefined`: of any engine. */
  faults(
    name: string | undefined,
    from: number,
    to: number,
    kinds: ReadonlySet<Fault["kind"]> | undefined = undefined,
  ): readonly Fault[] {
    if (this.#faults.length === 0) return NO_FAULTS;
    return this.#faults.filter(
      (fault) =>
        (name === undefined || fault.engine === undefined || fault.engine === name) &&
        (kinds === undefined || kinds.has(fault.kind)) &&
        fault.from <= to &&
        (fault.to ?? (fault.kind === "kill" ? fault.from : Number.POSITIVE_INFINITY)) >= from,
    );
  }

  /** A moment from which on everything is as it should be again, given what was wrong since `from`: `from` itself without faults. */
  calmFrom(from: number): number {
    let calm = from;
    for (const fault of this.#faults) {
      const to = fault.to ?? fault.from;
      if (to >= from && fault.from <= this.bounds.until && to > calm) calm = to;
    }
    return calm;
  }

  get hasFaults(): boolean {
    return this.#faults.length > 0;
  }

  /** `first` surely came before `second`. */
  isBefore(first: HistoryEvent, line: WitnessLine): boolean {
    if (line.seq !== undefined && this.isRecorded) return first.seq < line.seq;
    return first.at <= line.at + this.bounds.skewMs;
  }
}

const NO_FAULTS: readonly Fault[] = [];

function boundsOf({ history, witness }: Evidence, settings: Settings): Bounds {
  const { leaseMs = 10_000, pollMs = 2_000, skewMs = 0, workMs = 0, flushMs = 5_000 } = settings;
  const { settleMs = 60_000, quarantineAfter = 3 } = settings;
  let until = settings.until;
  if (until === undefined) {
    until = 0;
    for (const { at } of history) if (at > until) until = at;
    for (const { at } of witness) if (at > until) until = at;
  }
  return { leaseMs, pollMs, skewMs, workMs, flushMs, settleMs, quarantineAfter, until };
}

function leasesOf(history: readonly HistoryEvent[]): ReadonlyMap<string, readonly LeaseChanged[]> {
  const changes = history.filter((event) => event.type === "lease");
  // A renewal by a thread may be heard of late.
  changes.sort((a, b) => a.at - b.at || a.seq - b.seq);
  return groupBy(changes, ({ engine }) => engine);
}

export function groupBy<Item>(items: Iterable<Item>, keyOf: (item: Item) => string): ReadonlyMap<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
