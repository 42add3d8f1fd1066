import type { Clock, EpochMs } from "weftline";
import type { SimulatedTime } from "./simulated-time.js";

/**
 * The time of one simulated process: that of the world, with an error of its own. It can stand still, as a process that
 * is suspended does: what becomes due meanwhile happens when it wakes. When it ends, nothing of the process happens
 * any more, as everything the process waits for comes through here.
 */
export class ProcessClock implements Clock {
  readonly #time: SimulatedTime;
  readonly #bootedAt: EpochMs;
  #skewMs: number;
  #state: "running" | "frozen" | "ended" = "running";
  #held: (() => void)[] = [];
  /** Timers that have neither fired nor been taken back. */
  pendingTimers = 0;

  /** @param skewMs - How far this wall clock is ahead of the world's. */
  constructor(time: SimulatedTime, skewMs: number) {
    this.#time = time;
    this.#skewMs = skewMs;
    this.#bootedAt = time.now();
  }

  get isRunning(): boolean {
    return this.#state === "running";
  }

  readonly now = (): EpochMs => this.#time.now() + this.#skewMs;

  monotonicMs(): number {
    return this.#time.now() - this.#bootedAt;
  }

  timer(at: EpochMs, fire: () => void): () => void {
    let isPending = true;
    const end = (): boolean => {
      if (!isPending) return false;
      isPending = false;
      this.pendingTimers--;
      return true;
    };
    this.pendingTimers++;
    const takeBack = this.#time.in(at - this.now(), () =>
      this.#here(() => {
        if (end()) fire();
      }),
    );
    return () => {
      end();
      takeBack();
    };
  }

  afterTurn(fire: () => void): void {
    this.in(0, fire);
  }

  /** As `timer`, from now and not counted: an answer that arrives, or work of task code. @returns A function that takes it back. */
  in(ms: number, fire: () => void): () => void {
    let isTakenBack = false;
    const takeBack = this.#time.in(ms, () =>
      this.#here(() => {
        if (!isTakenBack) fire();
      }),
    );
    return () => {
      isTakenBack = true;
      takeBack();
    };
  }

  /** Sets the wall clock; timers keep their distance, as those of Node do. */
  step(byMs: number): void {
    this.#skewMs += byMs;
  }

  freeze(): void {
    if (this.#state === "running") this.#state = "frozen";
  }

  /** Everything that was due meanwhile happens now, in an order drawn by chance. */
  thaw(): void {
    if (this.#state !== "frozen") return;
    this.#state = "running";
    for (const fire of this.#held.splice(0)) this.#time.in(0, () => this.#here(fire));
  }

  end(): void {
    this.#state = "ended";
    this.#held = [];
  }

  #here(fire: () => void): void {
    if (this.#state === "running") fire();
    else if (this.#state === "frozen") this.#held.push(fire);
  }
}
