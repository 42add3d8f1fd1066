import assert from "node:assert/strict";
import type { EpochMs, Logger, Scheduler } from "weftline";
import { VirtualClock } from "../virtual-clock.js";

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };
/** How much later than asked for `due()` may be called, by the host's clock. */
const TOLERANCE_MS = 2_000;
/** How long real work, such as a database's answer, is waited for. */
const PATIENCE_MS = 1_000;
const POLL_MS = 5;
const STEP_MS = 500;
const { setTimeout: startTimeout } = globalThis;

export type OpenScheduler = () => Scheduler | Promise<Scheduler>;

/** A scheduler that was not started yet, and a host for it: its schedules, and what was asked of it. */
export class SchedulerFixture {
  readonly scheduler: Scheduler;
  readonly clock = new VirtualClock();
  /** The moments at which `due()` was called. */
  readonly calls: EpochMs[] = [];
  /** The instants still to fire, in order; `due()` removes those that are reached. */
  instants: EpochMs[] = [];
  /** What `due()` does besides. */
  onDue: () => Promise<void> = async () => {};
  /** What `nextDue()` does between looking and answering. */
  onNextDue: () => Promise<void> = async () => {};

  private constructor(scheduler: Scheduler) {
    this.scheduler = scheduler;
  }

  /** Runs a check on a scheduler, and stops it. */
  static async with(open: OpenScheduler, check: (fixture: SchedulerFixture) => Promise<void>): Promise<void> {
    const fixture = new SchedulerFixture(await open());
    try {
      await check(fixture);
    } finally {
      await fixture.scheduler.stop();
    }
  }

  /** Starts the scheduler with schedules that are due so much later. */
  async start(...inMs: number[]): Promise<void> {
    this.instants = inMs.map((ms) => this.clock.now() + ms);
    await this.scheduler.start({
      clock: this.clock,
      log: SILENT,
      nextDue: async () => {
        const next = this.instants[0];
        await this.onNextDue();
        return next;
      },
      due: async () => {
        this.calls.push(this.clock.now());
        await this.onDue();
        this.instants = this.instants.filter((instant) => instant > this.clock.now());
      },
    });
    await this.settle();
  }

  /** Lets the scheduler do what needs no virtual time, be it real work. */
  async settle(): Promise<void> {
    await this.clock.settle();
    await passTime(POLL_MS);
    await this.clock.settle();
  }

  /** Goes on to `at`, in which no call is missed although the scheduler may have real work to do in between. */
  async goTo(at: EpochMs): Promise<void> {
    await this.settle();
    await this.clock.advanceTo(at);
    await this.settle();
  }

  /** `due()` is called at or after `at`, and within the tolerance. */
  async expectCallAt(at: EpochMs, what: string): Promise<void> {
    await this.goTo(at);
    for (let late = 0; late <= TOLERANCE_MS; late += STEP_MS) {
      if (await this.#isCalledSince(at)) return;
      await this.clock.advance(STEP_MS);
    }
    const after = this.calls.map((call) => `${call - at} ms`).join(", ") || "never";
    assert.fail(
      `due() was not called within ${TOLERANCE_MS} ms of ${what}; it was called, counted from there: ${after}`,
    );
  }

  /** Real work gets a real chance, once virtual time stands where it may be called. */
  async #isCalledSince(at: EpochMs): Promise<boolean> {
    const patience = PATIENCE_MS / (TOLERANCE_MS / STEP_MS + 1);
    for (let waited = 0; waited <= patience; waited += POLL_MS) {
      await this.clock.settle();
      if (this.calls.some((call) => call >= at)) return true;
      await passTime(POLL_MS);
    }
    return false;
  }
}

export function passTime(ms: number): Promise<void> {
  return new Promise((resolve) => startTimeout(resolve, ms));
}
