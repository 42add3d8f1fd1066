import type { EpochMs } from "../../clock.js";
import type { KeyedSignal, RunMessage, TaskRecord } from "../../contracts/records.js";
import type { Delivered, RunStore } from "./run-store.js";

/** A task that waits for a signal to a key. */
export interface Waiting {
  readonly run: RunStore;
  record: TaskRecord;
  readonly key: string;
}

interface KeptSignal {
  readonly signal: KeyedSignal;
  readonly arrival: number;
}

/** Signals to keys, and the tasks that wait for them. What neither has anything to wait for costs nothing. */
export class KeyedSignals {
  /** By key, the oldest first. */
  readonly #signals = new Map<string, KeptSignal[]>();
  /** By key, who has waited longest first. */
  readonly #waits = new Map<string, Set<Waiting>>();
  /** Keys of which there are signals and tasks that wait, though perhaps not of the same engine. */
  readonly #matched = new Set<string>();

  keep(signal: KeyedSignal, arrival: number): void {
    const kept = this.#signals.get(signal.key);
    if (kept) kept.push({ signal, arrival });
    else this.#signals.set(signal.key, [{ signal, arrival }]);
    if (this.#waits.has(signal.key)) this.#matched.add(signal.key);
  }

  /** Takes note of tasks that begin or stop to wait. @returns Whether there is a signal for one that begins. */
  follow(run: RunStore, records: readonly TaskRecord[]): boolean {
    let isAwaited = false;
    for (const record of records) {
      const key = keyOf(record);
      if (key === undefined && run.waits === undefined) continue;
      if (this.#follow(run, record, key)) isAwaited = true;
    }
    return isAwaited;
  }

  /** Nothing waits in this run any more. */
  forget(run: RunStore): void {
    for (const waiting of run.waits?.values() ?? []) this.#end(waiting);
  }

  /** Whether {@link assign} would give a signal to this engine's runs. */
  isAnyAwaited(engineId: string): boolean {
    for (const key of this.#matched) for (const _ of this.#unserved(key, engineId)) return true;
    return false;
  }

  /** The run's tasks are others by now, and wait where they did. */
  move(run: RunStore, moved: (record: TaskRecord) => TaskRecord | undefined): void {
    const waits = [...(run.waits?.values() ?? [])].map((waiting) => ({ waiting, record: moved(waiting.record) }));
    for (const { waiting, record } of waits) if (record === undefined) this.#end(waiting);
    run.waits?.clear();
    for (const { waiting, record } of waits) {
      if (record === undefined) continue;
      waiting.record = record;
      run.waits!.set(placeOf(record), waiting);
    }
  }

  /** Forgets signals that were sent before this moment. */
  drop(before: EpochMs): void {
    for (const [key, signals] of this.#signals) {
      const kept = signals.filter(({ signal }) => signal.sentAt >= before);
      if (kept.length === signals.length) continue;
      this.#signals.set(key, kept);
      this.#tidy(key);
    }
  }

  /**
   * Gives the oldest signals to the tasks of this engine's runs that have waited longest, one to each that has not got
   * one yet.
   */
  assign(engineId: string, deliver: (run: RunStore, delivered: Delivered) => void): void {
    for (const key of this.#matched) {
      const signals = this.#signals.get(key)!;
      let given = 0;
      for (const { run } of this.#unserved(key, engineId)) {
        const { signal, arrival } = signals[given++]!;
        deliver(run, { message: messageTo(run, signal), arrival });
        if (given === signals.length) break;
      }
      signals.splice(0, given);
      this.#tidy(key);
    }
  }

  /** Who waits for this key, has waited longest, and has no signal in its run's inbox yet. */
  *#unserved(key: string, engineId: string): Generator<Waiting> {
    const inInbox = new Map<RunStore, number>();
    for (const waiting of this.#waits.get(key)!) {
      const { run } = waiting;
      if (run.record.owner !== engineId || !this.#isStillTrue(waiting)) continue;
      const served = inInbox.get(run) ?? countSignals(run, key);
      inInbox.set(run, Math.max(0, served - 1));
      if (served === 0) yield waiting;
    }
  }

  /** @returns Whether it begins to wait, and there is a signal for it. */
  #follow(run: RunStore, record: TaskRecord, key: string | undefined): boolean {
    const known = run.waits?.get(placeOf(record));
    if (known !== undefined) {
      const isTheSame = known.key === key && known.record.generation === record.generation;
      if (isTheSame || known.record.generation > record.generation) return false;
      this.#end(known);
    }
    if (key === undefined) return false;
    this.#begin({ run, record, key });
    return this.#matched.has(key);
  }

  #begin(waiting: Waiting): void {
    const { run, record, key } = waiting;
    run.waits ??= new Map();
    run.waits.set(placeOf(record), waiting);
    const waits = this.#waits.get(key);
    if (waits) waits.add(waiting);
    else this.#waits.set(key, new Set([waiting]));
    if (this.#signals.has(key)) this.#matched.add(key);
  }

  #end(waiting: Waiting): void {
    const { run, record, key } = waiting;
    run.waits?.delete(placeOf(record));
    if (run.waits?.size === 0) run.waits = undefined;
    this.#waits.get(key)?.delete(waiting);
    this.#tidy(key);
  }

  /** A record also ends when what it is a part of is opened anew, which nothing says of it alone. */
  #isStillTrue(waiting: Waiting): boolean {
    const { position, index, generation } = waiting.record;
    const current = waiting.run.history.currentTask(position, index);
    const isTrue = current?.generation === generation && keyOf(current) === waiting.key;
    if (!isTrue) this.#end(waiting);
    return isTrue;
  }

  #tidy(key: string): void {
    if (this.#signals.get(key)?.length === 0) this.#signals.delete(key);
    if (this.#waits.get(key)?.size === 0) this.#waits.delete(key);
    if (!this.#signals.has(key) || !this.#waits.has(key)) this.#matched.delete(key);
  }
}

/** The key whose signals the task waits for. */
function keyOf({ status, wait }: TaskRecord): string | undefined {
  return status === "waiting" && wait?.kind === "signal" ? wait.key : undefined;
}

function placeOf({ position, index }: TaskRecord): string {
  return `${position} ${index}`;
}

function messageTo({ record }: RunStore, { id, key, payload, sentAt }: KeyedSignal): RunMessage {
  return { id, runId: record.id, sentAt, kind: "signal", to: { key }, payload };
}

function countSignals({ inbox }: RunStore, key: string): number {
  let count = 0;
  for (const { message } of inbox?.values() ?? []) {
    if (message.kind === "signal" && "key" in message.to && message.to.key === key) count++;
  }
  return count;
}
