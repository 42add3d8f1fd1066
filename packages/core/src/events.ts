import { EventEmitter } from "eventemitter3";
import type { EpochMs } from "./clock.js";
import type { AttemptStatus, LogLevel, RunStatus, TaskStatus, Wait } from "./contracts/records.js";
import { show } from "./define/show.js";
import type { ErrorRecord } from "./values/error-record.js";

/** What every event about a run says. */
export interface RunEvent {
  readonly runId: string;
  readonly pipeline: string;
  readonly at: EpochMs;
}

/** What every event about a task says. */
export interface TaskEvent extends RunEvent {
  readonly task: string;
  /** Empty for a task, `[3]` for the fourth item of a map. */
  readonly index: readonly number[];
  /** 0 when no attempt has begun. */
  readonly attempt: number;
}

/** The events of an engine, each with one object. Those that report an outcome come after storage confirmed it. */
export interface EngineEvents {
  /** The run begins, or goes on after a resume; not yet recorded. */
  "run:started": RunEvent & { readonly resumed: boolean };
  /** The run waits, is paused, or goes on. */
  "run:status": RunEvent & { readonly status: RunStatus };
  /** The run reached a final status. */
  "run:finished": RunEvent & {
    readonly status: RunStatus;
    readonly durationMs: number;
    readonly error: ErrorRecord | undefined;
  };
  /** An attempt begins; not yet recorded. */
  "task:started": TaskEvent & { readonly executor: string };
  /** An attempt failed, and another is due at `retryAt`. */
  "task:retrying": TaskEvent & { readonly error: ErrorRecord; readonly retryAt: EpochMs };
  /** A task waits for a time, a signal or another run, and holds nothing meanwhile. */
  "task:waiting": TaskEvent & { readonly wait: Wait };
  /** A map's list is known; not yet recorded. */
  "task:expanded": TaskEvent & { readonly items: number };
  /** A task or item reached a final status. `durationMs` counts from its first attempt and is 0 when it never ran. */
  "task:finished": TaskEvent & {
    readonly status: TaskStatus;
    readonly durationMs: number;
    readonly error: ErrorRecord | undefined;
    readonly reason: string | undefined;
    /** What was not as expected although it succeeded. */
    readonly warning: string | undefined;
    /** The run whose output was taken instead of running the task. */
    readonly cachedFrom: string | undefined;
  };
  /** A task or item failed for good; follows its `task:finished`. */
  "task:failed": TaskEvent & { readonly error: ErrorRecord; readonly durationMs: number };
  "task:progress": TaskEvent & { readonly fraction: number; readonly message: string | undefined };
  "task:log": TaskEvent & { readonly level: LogLevel; readonly message: string };
  /** Code that had been told to stop ended after all; whatever it returned was dropped. */
  "task:late": TaskEvent & { readonly status: AttemptStatus };
}
export type EngineEventName = keyof EngineEvents;
/** The name of every event. Written as a record, so that one that is missing does not compile. */
export const EVENT_NAMES = Object.keys({
  "run:started": true,
  "run:status": true,
  "run:finished": true,
  "task:started": true,
  "task:retrying": true,
  "task:waiting": true,
  "task:expanded": true,
  "task:finished": true,
  "task:failed": true,
  "task:progress": true,
  "task:log": true,
  "task:late": true,
} satisfies Record<EngineEventName, true>) as readonly EngineEventName[];

export type EngineListener<Name extends EngineEventName> = (event: EngineEvents[Name]) => void;

/** @throws {TypeError} For an event there is not, or what is no function: nothing would ever be heard. */
export function checkListener(name: unknown, listener: unknown, call: "on" | "off"): void {
  if (!EVENT_NAMES.includes(name as EngineEventName)) {
    throw new TypeError(`${call}(name, listener): there is no event name ${show(name)}, but ${EVENT_NAMES.join(", ")}`);
  }
  if (typeof listener !== "function") {
    throw new TypeError(`${call}(name, listener) takes a function as listener, not ${show(listener)}`);
  }
}

/** Emits to listeners that cannot break what they listen to: their faults are counted, reported, and go no further. */
export class EventHub {
  readonly #emitter = new EventEmitter<string>();
  /** An upper bound of the listeners there are: without any, which is the rule, asking has to cost nothing. */
  #listened = 0;
  readonly #onFault: (name: string, cause: unknown) => void;

  constructor(onFault: (name: string, cause: unknown) => void) {
    this.#onFault = onFault;
  }

  /** Whether building the event is worth it. */
  hears(name: EngineEventName): boolean {
    return this.#listened > 0 && this.#emitter.listenerCount(name) > 0;
  }

  on<Name extends EngineEventName>(name: Name, listener: EngineListener<Name>): () => void {
    this.#emitter.on(name, listener);
    this.#listened++;
    return () => this.#emitter.off(name, listener);
  }

  off<Name extends EngineEventName>(name: Name, listener: EngineListener<Name>): void {
    this.#emitter.off(name, listener);
  }

  emit<Name extends EngineEventName>(name: Name, event: EngineEvents[Name]): void {
    // Not emitter.emit(): there the first listener that throws keeps the others from hearing anything.
    for (const listener of this.#emitter.listeners(name)) this.#call(name, listener as EngineListener<Name>, event);
  }

  /** Forgets every listener. */
  clear(): void {
    this.#emitter.removeAllListeners();
  }

  #call<Name extends EngineEventName>(name: Name, listener: EngineListener<Name>, event: EngineEvents[Name]): void {
    try {
      const returned: unknown = listener(event);
      if (returned instanceof Promise) returned.catch((cause: unknown) => this.#onFault(name, cause));
    } catch (cause) {
      this.#onFault(name, cause);
    }
  }
}
