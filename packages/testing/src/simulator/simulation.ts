import {
  encode,
  type Logger,
  memoryStorage,
  type Pipeline,
  pipeline,
  type RunRecord,
  type Storage,
  type TaskRecord,
} from "weftline";
import { refusingStorage, type StorageFaultKind } from "../faults.js";
import { hashOf } from "../history-checker/hash-of.js";
import type { Evidence, Fault, Settings, WitnessLine } from "../history-checker/history.js";
import { recordingStorage } from "../history-checker/recording-storage.js";
import { shapesOf } from "../history-checker/shape-of.js";
import { buildPipeline, POOL, POOL_SIZE, TOKEN_PARAMS } from "./build-pipeline.js";
import { Clients } from "./clients.js";
import { Dice } from "./dice.js";
import { all, finalState } from "./final-state.js";
import { Fleet } from "./fleet.js";
import { OpenCreations } from "./open-creations.js";
import { SimulatedTime } from "./simulated-time.js";
import type { Mutations, SaidLine, Stage } from "./stage.js";
import { UNSTORABLE } from "./task-code.js";
import type { World } from "./world.js";

const BEGINNING = Date.UTC(2026, 0, 1);
/** How long after the faults everything may take to come to an end. */
const HEALING_MS = 20 * 60_000;
/** A clock that is ahead fires its schedules early. */
const MAX_SKEW_MS = 600_000;
const ATTEND_EVERY_MS = 2_000;
const PROBE_MS = 60_000;
const STOP_GRACE_MS = 5_000;
/** The most that a world may happen in, so that one that never comes to rest is found out. */
const MAX_HAPPENINGS = 400_000;

export interface PlayOptions {
  /**
   * Makes the store, which the simulation opens and closes; it has to judge leases by `now`, as it is told again when it
   * is opened. Default: `memoryStorage()`.
   */
  readonly storage?: (now: () => number) => Storage | Promise<Storage>;
  readonly mutations?: Mutations;
  /** What the engines say. Default: nobody hears it. */
  readonly log?: Logger;
}

/** What came of a world. */
export interface Played {
  readonly world: World;
  readonly evidence: Evidence;
  /** Runs that somebody ended, or began anew, on purpose. */
  readonly meddled: ReadonlySet<string>;
  /** What did not come to its end, in words. */
  readonly stuck: readonly string[];
  readonly virtualMs: number;
  readonly happened: number;
  readonly processes: number;
}

/** Plays a world to its end: first with faults, then without until everything has come to rest. */
export async function play(world: World, options: PlayOptions = {}): Promise<Played> {
  return new Simulation(world, options).play();
}

const PROBE = pipeline("probe", { params: TOKEN_PARAMS as never }, (p) => {
  const answer = p.task("answer", () => "well");
  return { answer };
}) as Pipeline<{ token: string }>;

class Simulation implements Stage {
  readonly world: World;
  readonly time: SimulatedTime;
  readonly mutations: Mutations;
  readonly log: Logger | undefined;
  readonly engines = new Map<string, string>();
  readonly creations: OpenCreations;
  isHealing = false;
  readonly #options: PlayOptions;
  readonly #dice: Dice;
  readonly #witness: WitnessLine[] = [];
  readonly #faults: Fault[] = [];
  readonly #counts = new Map<string, number>();
  readonly #versions: (readonly Pipeline[])[] = [];
  readonly #definitions: ReadonlySet<string>[] = [];
  readonly #stuck: string[] = [];
  readonly #probes: { readonly engine: string; readonly runId: string }[] = [];
  #sequence = 0;
  /** When the last call that takes long, or is done late, is done. */
  #busyUntil = 0;
  #recording!: ReturnType<typeof recordingStorage>;

  constructor(world: World, options: PlayOptions) {
    this.world = world;
    this.#options = options;
    this.mutations = options.mutations ?? {};
    this.creations = new OpenCreations(world.late?.maxMs ?? 0);
    this.log = options.log;
    this.#dice = new Dice(world.seed).fork("play");
    this.time = new SimulatedTime(BEGINNING, this.#dice.fork("order").random);
  }

  get store(): Storage {
    return this.#recording.storage;
  }

  get capabilities(): Storage["supports"] {
    return { ...this.store.supports, manyProcesses: true, durable: this.world.durable, notify: this.world.notify };
  }

  pipelinesOf(version: number): readonly Pipeline[] {
    this.#versions[version] ??= [...this.world.pipelines.map((spec) => buildPipeline(spec, version)), PROBE];
    return this.#versions[version]!;
  }

  hasDefinition(version: number, definition: string): boolean {
    this.#definitions[version] ??= new Set(Object.keys(shapesOf(this.pipelinesOf(version))));
    return this.#definitions[version]!.has(definition);
  }

  count(name: string): number {
    const count = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, count);
    return count;
  }

  witness({ inputs, output, ...line }: SaidLine): void {
    const inputHashes =
      inputs &&
      Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, hashOf(encode(value, "output"))]));
    this.#witness.push({
      ...line,
      at: this.time.now(),
      seq: ++this.#sequence,
      ...(inputHashes && { inputHashes }),
      ...(output !== undefined && { outputHash: hashOf(output) }),
    });
  }

  storageFault(kind: StorageFaultKind, process: string, call: string, lastsMs: number): void {
    const takesMs = kind === "late" ? lastsMs + this.world.latencyMs : lastsMs;
    this.#noteStorage(FAULT_KINDS[kind], process, call, takesMs);
    // What is stuck is let go.
    if (kind !== "stuck") this.#busyUntil = Math.max(this.#busyUntil, this.time.now() + takesMs);
  }

  #noteStorage(kind: Fault["kind"], engine: string | undefined, call: string, lastsMs = 0): void {
    const now = this.time.now();
    this.#faults.push({ kind, engine, from: now, to: now + lastsMs, call });
  }

  async play(): Promise<Played> {
    await this.#openStore();
    const fleet = new Fleet(this, this.#dice.fork("fleet"), this.#faults);
    const clients = new Clients(this, fleet);
    fleet.begin();
    clients.begin();
    await this.time.goOn(this.world.faultsMs, this.#isExhausted);
    const healedAt = this.time.now();
    this.isHealing = true;
    fleet.heal();
    await this.#heal(fleet, clients);
    await this.#probe(fleet, clients);
    await this.#comeToRest(fleet, clients);
    await this.#awaitResults(clients);
    const alive = fleet.alive.map(({ name }) => name);
    const deleted = this.#recording.history.flatMap((event) => (event.type === "deleted" ? event.runId : []));
    const final = await finalState(this.store, this.time.now(), deleted);
    await this.#recording.settle();
    // What engines still do while they stop, such as firing a schedule, is not in the final state.
    const [history, witness] = [[...this.#recording.history], [...this.#witness]];
    const until = this.time.now();
    await this.#stopAll(fleet, clients);
    await this.store.close();
    return {
      world: this.world,
      meddled: clients.meddled,
      stuck: this.#stuck,
      virtualMs: this.time.now() - BEGINNING,
      happened: this.time.happened,
      processes: fleet.processes.length,
      evidence: {
        source: "recorded",
        history,
        witness,
        clients: clients.calls,
        // What was still stuck when it was healed was let go then.
        faults: this.#faults.map((fault) => ({
          ...fault,
          to: fault.to && (fault.kind === "late-call" ? fault.to : Math.min(fault.to, Math.max(healedAt, fault.from))),
        })),
        shapes: shapesOf(this.#versions.flat()),
        final,
        settings: this.#settings(healedAt, until),
        facts: {
          engines: Object.fromEntries(this.engines),
          probes: this.#probes,
          alive,
          instants: this.#instants(until),
        },
      },
    };
  }

  async #openStore(): Promise<void> {
    const opened = await (this.#options.storage?.(this.time.now) ?? memoryStorage());
    const refusing = refusingStorage(opened, refusalOf, ({ engineId }) =>
      this.#noteStorage("rejected-value", this.engines.get(engineId), "commit"),
    );
    const inner = this.mutations.store?.(refusing) ?? refusing;
    this.#recording = recordingStorage(inner, { now: this.time.now, sequence: () => ++this.#sequence });
    await this.store.open({ log: this.log ?? QUIET, now: this.time.now });
  }

  async #heal(fleet: Fleet, clients: Clients): Promise<void> {
    const isOver = await this.#attending(fleet, clients, HEALING_MS);
    if (!isOver) for (const run of await this.#unfinished()) this.#stuck.push(describeStuck(run));
  }

  /** Lets time go on until no run is unfinished, seeing to those that wait for somebody. @returns Whether that came. */
  async #attending(fleet: Fleet, clients: Clients, maxMs: number): Promise<boolean> {
    let until = this.time.now() + maxMs;
    let done = this.#witness.length;
    const { leaseMs, pollMs } = this.world;
    // Leases that were lost meanwhile are found out by then.
    await this.time.goOn(Math.max(leaseMs, this.#busyUntil - this.time.now()) + pollMs, this.#isExhausted);
    while (this.time.now() < until && !this.#isExhausted()) {
      const unfinished = await this.#unfinished();
      if (unfinished.length === 0 && fleet.isWhole) return true;
      // Much work for few slots takes its time.
      if (this.#witness.length > done) until = Math.max(until, this.time.now() + maxMs / 4);
      done = this.#witness.length;
      if (this.world.dropsVersions || unfinished.some(({ status }) => status !== "queued")) {
        void clients.attend(this.store, unfinished);
      }
      await this.time.goOn(ATTEND_EVERY_MS, this.#isExhausted);
    }
    return false;
  }

  /** A new run completes on every engine. */
  async #probe(fleet: Fleet, clients: Clients): Promise<void> {
    const processes = fleet.up;
    let open = processes.length;
    for (const process of processes) {
      const asked = clients.probe(process, PROBE).then(async (runId) => {
        open--;
        if (runId !== undefined) this.#probes.push({ engine: process.name, runId });
        else this.#stuck.push(`engine ${process.name} did not take a run after the faults had stopped`);
      });
      void asked;
    }
    await this.time.goOn(PROBE_MS, () => open === 0 || this.#isExhausted());
    if (open > 0) this.#stuck.push(`${open} engines did not answer after the faults had stopped`);
  }

  /** A moment at which nothing is unfinished: schedules go on making runs. */
  async #comeToRest(fleet: Fleet, clients: Clients): Promise<void> {
    if (this.#stuck.length > 0) return;
    const isOver = await this.#attending(fleet, clients, PROBE_MS + HEALING_MS / 2);
    if (!isOver) for (const run of await this.#unfinished()) this.#stuck.push(describeStuck(run));
  }

  /** Nothing goes on any more: whoever waits for a result has it by then, or never will. */
  async #awaitResults(clients: Clients): Promise<void> {
    const { pollMs = 0, flushMs = 0, skewMs = 0 } = this.#settings(0, 0);
    if (clients.isWaiting)
      await this.time.goOn(3 * pollMs + flushMs + skewMs, () => !clients.isWaiting || this.#isExhausted());
  }

  async #stopAll(fleet: Fleet, clients: Clients): Promise<void> {
    let open = fleet.alive.length;
    for (const process of fleet.alive) {
      const call = clients.stopping(process.name, STOP_GRACE_MS);
      process.stop(STOP_GRACE_MS).then(
        () => {
          open--;
          call.stopped(process.clock.pendingTimers);
        },
        () => undefined,
      );
    }
    await this.time.goOn(4 * STOP_GRACE_MS, () => open === 0 || this.#isExhausted());
    if (open > 0) this.#stuck.push(`${open} engines did not stop`);
  }

  #unfinished(): Promise<readonly RunRecord[]> {
    return all(this.store, "runs", { status: ["queued", "running", "waiting", "paused"] });
  }

  /** It does not come to rest: something happens again and again, maybe all at one moment. */
  readonly #isExhausted = (): boolean => this.time.happened > MAX_HAPPENINGS;

  #settings(healedAt: number, until: number): Settings {
    const { world } = this;
    const skews = world.slots.map(({ skewMs }) => skewMs);
    const steps = world.mishaps.map(({ kind, byMs }) => (kind === "clock-step" ? Math.abs(byMs) : 0));
    const skewMs = Math.max(0, ...skews) - Math.min(0, ...skews) + steps.reduce((sum, step) => sum + step, 0);
    return {
      leaseMs: world.leaseMs,
      pollMs: world.pollMs,
      skewMs,
      workMs: 10_000,
      flushMs: 10_000,
      quarantineAfter: world.quarantineAfter,
      concurrency: Math.max(...world.slots.map(({ concurrency }) => concurrency)),
      pools: { [POOL]: POOL_SIZE },
      maxActiveRuns: Object.fromEntries(
        world.pipelines.flatMap(({ id, maxActiveRuns }) => (maxActiveRuns === undefined ? [] : [[id, maxActiveRuns]])),
      ),
      healedAt,
      until,
      settleMs: HEALING_MS,
    };
  }

  #instants(until: number): Record<string, readonly number[]> {
    const scheduled = this.world.pipelines.filter(({ everyMs }) => everyMs !== undefined);
    return Object.fromEntries(
      scheduled.map(({ id, everyMs = 1 }) => {
        const instants: number[] = [];
        // A clock that was set back before the schedule was registered fires earlier ones.
        for (
          let at = Math.ceil((BEGINNING - MAX_SKEW_MS) / everyMs) * everyMs;
          at <= until + MAX_SKEW_MS;
          at += everyMs
        )
          instants.push(at);
        return [id, instants];
      }),
    );
  }
}

function refusalOf({ output }: TaskRecord): string | undefined {
  return output?.includes(UNSTORABLE) ? "unsupported character" : undefined;
}

const FAULT_KINDS: Readonly<Record<StorageFaultKind, Fault["kind"]>> = {
  slow: "storage-slow",
  error: "storage-error",
  lostReply: "lost-reply",
  stuck: "storage-slow",
  late: "late-call",
};

const QUIET: Logger = { debug() {}, info() {}, warn() {}, error() {} };

function describeStuck({ id, pipeline: name, status, owner, epoch, crashes }: RunRecord): string {
  return `run ${id} of "${name}" did not end: ${status}, owner ${owner ?? "none"}, epoch ${epoch}, crashes ${crashes}`;
}
