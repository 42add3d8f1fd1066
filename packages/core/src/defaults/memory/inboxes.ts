import type { EpochMs } from "../../clock.js";
import type { KeyedSignal, RunMessage, TaskRecord } from "../../contracts/records.js";
import type { Delivered, RunStore } from "./run-store.js";
import { KeyedSignals } from "./signals.js";

/** What was said to runs and not consumed yet, and the signals that wait for a task. */
export class Inboxes {
  readonly #signals = new KeyedSignals();
  readonly #withMessages = new Set<RunStore>();
  #arrived = 0;

  put(run: RunStore, message: RunMessage): void {
    this.#deliver(run, { message, arrival: ++this.#arrived });
  }

  keep(signal: KeyedSignal): void {
    this.#signals.keep(signal, ++this.#arrived);
  }

  /** Takes note of what tasks wait for now. @returns Whether there is a signal for one of them. */
  follow(run: RunStore, tasks: readonly TaskRecord[]): boolean {
    return this.#signals.follow(run, tasks);
  }

  receive(engineId: string): readonly RunMessage[] {
    this.#signals.assign(engineId, (run, delivered) => this.#deliver(run, delivered));
    const delivered: Delivered[] = [];
    for (const { record, inbox } of this.#withMessages) {
      if (record.owner !== engineId) continue;
      for (const message of inbox!.values()) delivered.push(message);
    }
    return delivered.sort((a, b) => a.arrival - b.arrival).map(({ message }) => message);
  }

  /** Whether there is something to receive. */
  hasNews(engineId: string): boolean {
    for (const { record } of this.#withMessages) if (record.owner === engineId) return true;
    return this.#signals.isAnyAwaited(engineId);
  }

  consume(run: RunStore, ids: readonly string[]): void {
    for (const id of ids) run.inbox?.delete(id);
    if (run.inbox?.size === 0) this.empty(run);
  }

  empty(run: RunStore): void {
    run.inbox = undefined;
    this.#withMessages.delete(run);
  }

  /** The run's tasks are others by now. @param moved - A record as it is now; `undefined`: its task is gone. */
  move(run: RunStore, moved: (record: TaskRecord) => TaskRecord | undefined): void {
    this.#signals.move(run, moved);
  }

  /** Forgets signals to keys that were sent before this moment. */
  dropSignals(before: EpochMs): void {
    this.#signals.drop(before);
  }

  /** The run was deleted. */
  forget(run: RunStore): void {
    this.empty(run);
    this.#signals.forget(run);
  }

  #deliver(run: RunStore, delivered: Delivered): void {
    run.inbox ??= new Map();
    run.inbox.set(delivered.message.id, delivered);
    this.#withMessages.add(run);
  }
}
