import type { Clock, EpochMs } from "../clock.js";
import type { RejectedValue, Storage } from "../contracts/storage.js";
import type { EventHub } from "../events.js";
import type { LentResources } from "../execute/resources.js";
import type { Logger } from "../logger.js";
import type { Random } from "../random.js";
import type { ValueLimits } from "../values/codec.js";
import type { ActiveRun } from "./active-run.js";
import type { ChildRuns } from "./child-runs.js";
import type { Dispatcher } from "./dispatcher.js";
import type { Journal } from "./journal.js";

/** What the runs of one engine share. */
export interface EngineCore {
  readonly engineId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly newId: () => string;
  readonly log: Logger;
  readonly events: EventHub;
  readonly limits: ValueLimits;
  readonly resources: LentResources;
  /** How long aborted code may go on, in milliseconds. */
  readonly graceMs: number;
  readonly journal: Journal;
  readonly dispatcher: Dispatcher;
  readonly storage: Pick<Storage, "getCached">;
  readonly children: ChildRuns;
  /** A task waits for a signal's key: there may be one already. */
  lookForSignals(): void;
  /** As many engines died under a run before it is quarantined. */
  readonly quarantineAfter: number;
  /** A run under which engines had died has made progress. */
  runTrusted(run: ActiveRun): void;
  /** The run waits for nothing but time and signals, until `wakeAt` at most: it need not stay in memory. */
  runWaits(run: ActiveRun, wakeAt: EpochMs | undefined): void;
  /** The run's final status is durable. */
  runFinished(run: ActiveRun): void;
  /** The run is not ours any more. */
  runLost(run: ActiveRun): void;
  /** The store refused values of the run: it has to be taken up again from what is durable. */
  runRejected(run: ActiveRun, values: readonly RejectedValue[]): void;
}
