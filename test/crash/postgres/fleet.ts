import type { ClientCall, Fault } from "@weftline/testing";
import type { Random } from "../chance.js";
import { Program } from "../processes.js";
import { withStorage } from "../stored-runs.js";
import { installAudit } from "./audit.js";
import { sabotageDatabase } from "./sabotage.js";
import {
  BLOCK_MS,
  BLOCK_SIGNAL,
  LEASE_MS,
  POLL_MS,
  PROBE_SIGNAL,
  PROBED,
  type ProcessOptions,
  STARTED,
  storageOf,
  type World,
} from "./world.js";

/** How long a stop in order, or a start, may take on a busy machine before something is wrong, in milliseconds. */
const PATIENCE_MS = 30_000;
const ENGINES = 3;

type Disturbance = "kill" | "pause" | "stop" | "block" | "kill-client";
/** At first each of them, so that it happens however short the time is; and kills enough to meet tasks that run. */
const FIRST: readonly Disturbance[] = [
  "kill",
  "pause",
  "kill",
  "block",
  "stop",
  "kill-client",
  "kill",
  "kill",
  "block",
];
/** A thread that keeps a lease runs by then, so long after its engine has started. In milliseconds. */
const THREAD_STARTS_MS = 1_500;
/** From a kill until somebody else has to have gone on, and a little more. */
const CALM_MS = LEASE_MS + POLL_MS + 1_200;
/** Without hints, how soon runs are taken up at all can only be told of those of a longer time without faults. */
const UNHINTED_MS = 5_000;

interface Member {
  readonly name: string;
  readonly program: Program;
  /** Something is being done to it, or it is still starting. */
  isBusy: boolean;
  /** Its end is wanted. */
  isLeaving: boolean;
  /** When it said that it runs. */
  startedAt: number;
}

/** Three engines and a client in processes of their own, each of which is replaced when it ends. */
export class Fleet {
  readonly faults: Fault[] = [];
  /** Engines that were told to stop, as calls of clients. */
  readonly stops: ClientCall[] = [];
  readonly problems: string[] = [];
  readonly #world: World;
  readonly #random: Random;
  readonly #engines = new Set<Member>();
  readonly #underWay = new Set<Promise<void>>();
  #client: Member | undefined;
  #started = 0;
  #disturbed = 0;

  constructor(world: World, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  async start(): Promise<void> {
    // Alone, before there is anything to keep a record of.
    await installAudit(this.#world);
    await sabotageDatabase(this.#world);
    await Promise.all(Array.from({ length: ENGINES }, () => this.#startEngine()));
    await this.#startClient();
  }

  /** Does one thing to one of them, and does not wait for what comes of it. */
  disturb(): void {
    const what = FIRST[this.#disturbed] ?? this.#drawn();
    const member = what === "kill-client" ? this.#client : this.#idleEngine(what === "block" ? THREAD_STARTS_MS : 0);
    if (member === undefined || member.isBusy) return;
    this.#disturbed++;
    member.isBusy = true;
    this.#follow(this.#do(what, member));
  }

  /** Whoever stands still goes on, whoever left is replaced; nothing is disturbed from then on. @returns When. */
  async heal(): Promise<number> {
    await this.#calm();
    return Math.max(...this.faults.map(({ from, to }) => to ?? from));
  }

  /** Kills one engine that has runs while nothing else happens: how soon others go on can be told of such a kill alone. */
  async killAlone(): Promise<void> {
    await this.#calm();
    const engine = await this.#busiest();
    if (engine === undefined) return;
    const over = pause(this.#world.hints ? CALM_MS : CALM_MS + UNHINTED_MS);
    await this.#do("kill", engine);
    await over;
  }

  /** The engine with most runs, once there is one with any. */
  #busiest(): Promise<Member | undefined> {
    return withStorage(storageOf(this.#world), async (storage) => {
      for (let tries = 0; tries < 100; tries++) {
        const { engines } = await storage.survey({ now: Date.now() });
        const owned = (name: string) => engines.find(({ id }) => id.startsWith(`${name}-`))?.runs ?? 0;
        const idle = [...this.#engines].filter(({ isBusy }) => !isBusy);
        const [first] = idle.sort((a, b) => owned(b.name) - owned(a.name));
        if (first === undefined || owned(first.name) > 0) return first;
        await pause(20);
      }
      return undefined;
    });
  }

  /** The client triggers nothing new. Settles when it has all results. @returns Whether it came to that in the time. */
  async drainClient(withinMs: number): Promise<boolean> {
    const client = this.#client!;
    client.isLeaving = true;
    client.program.signal("SIGTERM");
    const ended = await client.program.endedWithin(withinMs);
    if (ended?.code !== 0) this.problems.push(`the client did not get all results in time: ${ended?.complaints ?? ""}`);
    return ended?.code === 0;
  }

  /** Each engine makes a run of its own. @returns The names of those that brought it to its end. */
  async probe(): Promise<readonly string[]> {
    const works = await Promise.all(
      [...this.#engines].map(async ({ name, program }) => {
        program.signal(PROBE_SIGNAL);
        if (await within(program.says(PROBED), PATIENCE_MS)) return [name];
        this.problems.push(`after all faults, ${name} did not end a run of its own`);
        return [];
      }),
    );
    return works.flat();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#engines].map((engine) => this.#stopInOrder(engine)));
  }

  /** Ends all that is left, whatever the state. */
  abandon(): void {
    for (const { program } of [...this.#engines, ...(this.#client ? [this.#client] : [])]) program.signal("SIGKILL");
  }

  async #calm(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  #drawn(): Disturbance {
    const drawn = this.#random();
    if (drawn < 0.08) return "kill-client";
    if (drawn < 0.42) return "kill";
    if (drawn < 0.5) return "block";
    return drawn < 0.82 ? "pause" : "stop";
  }

  /** @param ageMs - So long ago it has to have started, at least. */
  #idleEngine(ageMs = 0): Member | undefined {
    const idle = [...this.#engines].filter(({ isBusy, startedAt }) => !isBusy && Date.now() - startedAt >= ageMs);
    return idle[Math.floor(this.#random() * idle.length)];
  }

  async #do(what: Disturbance, member: Member): Promise<void> {
    if (what === "pause") return this.#pause(member);
    if (what === "block") return this.#block(member);
    if (what === "stop") {
      const from = Date.now();
      await this.#stopInOrder(member);
      this.faults.push({ kind: "stop", engine: member.name, from, to: Date.now() });
      return this.#startEngine();
    }
    await this.#kill(member);
    return what === "kill" ? this.#startEngine() : this.#startClient();
  }

  async #kill(member: Member): Promise<void> {
    member.isLeaving = true;
    const from = Date.now();
    member.program.signal("SIGKILL");
    await member.program.ended;
    this.faults.push({ kind: "kill", engine: member.name, from, to: Date.now() });
    this.#engines.delete(member);
  }

  /** Half of them for longer than the lease, so that others take over and it wakes as a former owner. */
  async #pause(member: Member): Promise<void> {
    const isFirst = !this.faults.some(({ kind }) => kind === "pause");
    const isLong = isFirst || this.#random() < 0.5;
    const ms = isLong ? LEASE_MS * (1.3 + this.#random()) : LEASE_MS * 0.6 * this.#random();
    const from = Date.now();
    member.program.signal("SIGSTOP");
    await pause(ms);
    member.program.signal("SIGCONT");
    this.faults.push({ kind: "pause", engine: member.name, from, to: Date.now() });
    member.isBusy = false;
  }

  /** Its lease is kept by a thread meanwhile. The host itself says when it was blocked. */
  async #block(member: Member): Promise<void> {
    member.program.signal(BLOCK_SIGNAL);
    await pause(BLOCK_MS + LEASE_MS / 3);
    member.isBusy = false;
  }

  async #stopInOrder(engine: Member): Promise<void> {
    engine.isLeaving = true;
    const call = { operation: "stop", engine: engine.name, invokedAt: Date.now(), outcome: "ok" } as const;
    engine.program.signal("SIGTERM");
    const ended = await engine.program.endedWithin(PATIENCE_MS);
    this.stops.push({ ...call, returnedAt: Date.now(), left: { exitCode: ended?.code ?? null } });
    this.#engines.delete(engine);
    if (ended === undefined) this.problems.push(`${engine.name} did not end when it was told to stop`);
    else if (ended.code !== 0) {
      this.problems.push(`${engine.name} was told to stop and ended with ${ended.code}: ${ended.complaints}`);
    }
  }

  async #startEngine(): Promise<void> {
    const engine = this.#spawn(`engine-${++this.#started}`, "./host.js");
    this.#engines.add(engine);
    await this.#ready(engine);
  }

  async #startClient(): Promise<void> {
    this.#client = this.#spawn(`client-${++this.#started}`, "./client.js");
    await this.#ready(this.#client);
  }

  #spawn(name: string, file: string): Member {
    const options: ProcessOptions = { ...this.#world, name };
    const member: Member = {
      ...{ name, program: new Program(new URL(file, import.meta.url), options) },
      ...{ isBusy: true, isLeaving: false, startedAt: Number.POSITIVE_INFINITY },
    };
    void member.program.ended.then(({ code, signal, complaints }) => {
      if (member.isLeaving) return;
      this.#engines.delete(member);
      this.problems.push(`${name} ended although nobody asked for it, with ${code ?? signal}: ${complaints}`);
    });
    return member;
  }

  async #ready(member: Member): Promise<void> {
    if (!(await within(member.program.says(STARTED), PATIENCE_MS))) this.problems.push(`${member.name} did not start`);
    member.isBusy = false;
    member.startedAt = Date.now();
  }

  #follow(work: Promise<void>): void {
    const followed: Promise<void> = work.finally(() => this.#underWay.delete(followed));
    this.#underWay.add(followed);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** @returns False when it took longer. */
async function within(answer: Promise<boolean>, ms: number): Promise<boolean> {
  let patience: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    patience = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(patience);
  }
}
