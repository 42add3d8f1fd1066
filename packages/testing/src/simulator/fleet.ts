import type { Fault } from "../history-checker/history.js";
import type { Dice } from "./dice.js";
import { SimulatedProcess } from "./simulated-process.js";
import type { Stage } from "./stage.js";
import type { MishapSpec, SlotSpec } from "./world.js";

const STOP_GRACE_MS = 2_000;

interface Slot {
  readonly spec: SlotSpec;
  lives: number;
  version: number;
  process: SimulatedProcess | undefined;
}

type OpenFault = { -readonly [Name in keyof Fault]: Fault[Name] };

/** All processes of a world, and what befalls them. */
export class Fleet {
  readonly #stage: Stage;
  readonly #dice: Dice;
  readonly #faults: Fault[];
  readonly #slots: Slot[];
  /** Every process there has been. */
  readonly processes: SimulatedProcess[] = [];
  /** Pauses and partitions that have not ended. */
  readonly #open = new Map<SimulatedProcess, OpenFault[]>();
  #newestVersion = 0;

  constructor(stage: Stage, dice: Dice, faults: Fault[]) {
    this.#stage = stage;
    this.#dice = dice;
    this.#faults = faults;
    this.#slots = stage.world.slots.map((spec) => ({ spec, lives: 0, version: 0, process: undefined }));
  }

  get versions(): number {
    return this.#newestVersion + 1;
  }

  get alive(): readonly SimulatedProcess[] {
    return this.processes.filter(({ hasEnded }) => !hasEnded);
  }

  /** Processes that one can ask something. */
  get up(): readonly SimulatedProcess[] {
    return this.processes.filter(({ isUp, hasEnded, clock }) => isUp && !hasEnded && clock.isRunning);
  }

  /** Every slot has a process, and all of them are up: none is about to come. */
  get isWhole(): boolean {
    return this.up.length === this.alive.length && this.#slots.every((slot) => !this.#isFree(slot));
  }

  /** The process in this slot, or else any other that is up. */
  upNear(slot: number): SimulatedProcess | undefined {
    const { up } = this;
    return up.find(({ options }) => options.slot === slot) ?? (up.length === 0 ? undefined : up[slot % up.length]);
  }

  /** Of those that are up, one that has the newest version there is. */
  get upNewest(): SimulatedProcess | undefined {
    return this.up.toSorted((a, b) => b.options.version - a.options.version)[0];
  }

  begin(): void {
    for (const slot of this.#slots) this.#stage.time.in(slot.spec.startsAt, () => this.#launch(slot));
    for (const mishap of this.#stage.world.mishaps) this.#stage.time.in(mishap.at, () => this.#befall(mishap));
  }

  /** Faults stop: what stood still goes on, what is gone comes back, and every version that was there has an engine, unless versions go. */
  heal(): void {
    for (const process of this.alive) {
      this.#endFaults(process, "pause", "partition");
      process.letGo();
    }
    for (const slot of this.#slots) if (this.#isFree(slot)) this.#launch(slot);
    if (this.#stage.world.dropsVersions) return;
    for (let version = 0; version <= this.#newestVersion; version++) {
      if (this.alive.some(({ options, isStopping }) => options.version === version && !isStopping)) continue;
      const slot: Slot = { spec: this.#slots[0]!.spec, lives: 0, version, process: undefined };
      this.#slots.push(slot);
      this.#launch(slot);
    }
  }

  #isFree({ process }: Slot): boolean {
    return process === undefined || process.hasEnded;
  }

  #launch(slot: Slot): void {
    if (!this.#isFree(slot)) return;
    const place = this.#slots.indexOf(slot);
    const life = ++slot.lives;
    slot.process = new SimulatedProcess(this.#stage, {
      slot: place,
      life,
      version: slot.version,
      dice: this.#dice.fork(`${place}.${life}`),
      skewMs: slot.spec.skewMs,
      concurrency: slot.spec.concurrency,
    });
    this.processes.push(slot.process);
    slot.process.start();
  }

  #befall(mishap: MishapSpec): void {
    const slot = this.#slots[mishap.slot]!;
    const { process } = slot;
    if (this.#stage.isHealing || process === undefined || process.hasEnded) return;
    switch (mishap.kind) {
      case "kill":
        return this.#kill(slot, process, mishap);
      case "pause":
        if (!process.clock.isRunning) return;
        process.clock.freeze();
        return this.#during(process, "pause", mishap.forMs);
      case "partition":
        if (process.isCutOff) return;
        process.isCutOff = true;
        return this.#during(process, "partition", mishap.forMs);
      case "clock-step":
        process.clock.step(mishap.byMs);
        return void this.#note({ kind: "clock-step", engine: process.name, byMs: mishap.byMs });
      case "stop":
      case "deploy":
        return this.#stop(slot, process, mishap);
    }
  }

  #kill(slot: Slot, process: SimulatedProcess, { forMs }: MishapSpec): void {
    this.#endFaults(process, "pause", "partition");
    process.kill();
    this.#note({ kind: "kill", engine: process.name });
    this.#stage.time.in(forMs, () => this.#launch(slot));
  }

  #stop(slot: Slot, process: SimulatedProcess, { kind, forMs }: MishapSpec): void {
    if (!process.isUp || !process.clock.isRunning) return;
    this.#note({ kind: kind === "deploy" ? "deploy" : "stop", engine: process.name });
    if (kind === "deploy") {
      slot.version++;
      this.#newestVersion = Math.max(this.#newestVersion, slot.version);
    }
    process.clock.in(0, () => {
      process.stop(STOP_GRACE_MS).then(
        () => this.#stage.time.in(Math.min(forMs, 1_000), () => this.#launch(slot)),
        () => undefined,
      );
    });
  }

  #during(process: SimulatedProcess, kind: "pause" | "partition", forMs: number): void {
    const fault = this.#note({ kind, engine: process.name, to: undefined });
    this.#open.set(process, [...(this.#open.get(process) ?? []), fault]);
    this.#stage.time.in(forMs, () => {
      if (fault.to === undefined && !process.hasEnded) this.#endFaults(process, kind);
    });
  }

  #endFaults(process: SimulatedProcess, ...kinds: readonly Fault["kind"][]): void {
    const open = this.#open.get(process) ?? [];
    for (const fault of open) if (kinds.includes(fault.kind)) fault.to = this.#stage.time.now();
    this.#open.set(
      process,
      open.filter(({ to }) => to === undefined),
    );
    if (kinds.includes("partition")) process.isCutOff = false;
    if (kinds.includes("pause")) process.clock.thaw();
  }

  #note(fault: Partial<OpenFault> & Pick<Fault, "kind" | "engine">): OpenFault {
    const now = this.#stage.time.now();
    const noted: OpenFault = { from: now, to: now, ...fault };
    this.#faults.push(noted);
    return noted;
  }
}
