import type { Fault } from "@weftline/testing";
import type { Random } from "../chance.js";
import { Program } from "../processes.js";
import { removeFence } from "./sabotage.js";
import { LEASE_MS, PROBE_SIGNAL, PROBED, type ProcessOptions, STARTED, type World } from "./world.js";

/** How long a stop in order, or a start, may take on a busy machine before something is wrong, in milliseconds. */
const PATIENCE_MS = 30_000;
const ENGINES = 3;

type Disturbance = "kill" | "pause" | "stop" | "kill-client";
/** At first each of them, so that it happens however short the time is; and kills enough to meet tasks that run. */
const FIRST: readonly Disturbance[] = ["kill", "pause", "kill", "stop", "kill-client", "kill", "kill"];

interface Member {
  readonly name: string;
  readonly program: Program;
  /** Something is being done to it, or it is still starting. */
  isBusy: boolean;
  /** Its end is wanted. */
  isLeaving: boolean;
}

/** Three engines and a client in processes of their own, each of which is replaced when it ends. */
export class Fleet {
  readonly faults: Fault[] = [];
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
    await this.#startEngine(); // alone, so that it makes the schema
    if (this.#world.sabotage === "unfenced") await removeFence(this.#world);
    await Promise.all(Array.from({ length: ENGINES - 1 }, () => this.#startEngine()));
    await this.#startClient();
  }

  /** Does one thing to one of them, and does not wait for what comes of it. */
  disturb(): void {
    const what = FIRST[this.#disturbed] ?? this.#drawn();
    const member = what === "kill-client" ? this.#client : this.#idleEngine();
    if (member === undefined || member.isBusy) return;
    this.#disturbed++;
    member.isBusy = true;
    this.#follow(this.#do(what, member));
  }

  /** Whoever stands still goes on, whoever left is replaced; nothing is disturbed from then on. @returns When. */
  async heal(): Promise<number> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    return Date.now();
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

  #drawn(): Disturbance {
    const drawn = this.#random();
    if (drawn < 0.08) return "kill-client";
    if (drawn < 0.45) return "kill";
    return drawn < 0.8 ? "pause" : "stop";
  }

  #idleEngine(): Member | undefined {
    const idle = [...this.#engines].filter(({ isBusy }) => !isBusy);
    return idle[Math.floor(this.#random() * idle.length)];
  }

  async #do(what: Disturbance, member: Member): Promise<void> {
    if (what === "pause") return this.#pause(member);
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
    await new Promise((resolve) => setTimeout(resolve, ms));
    member.program.signal("SIGCONT");
    this.faults.push({ kind: "pause", engine: member.name, from, to: Date.now() });
    member.isBusy = false;
  }

  async #stopInOrder(engine: Member): Promise<void> {
    engine.isLeaving = true;
    engine.program.signal("SIGTERM");
    const ended = await engine.program.endedWithin(PATIENCE_MS);
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
      ...{ isBusy: true, isLeaving: false },
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
  }

  #follow(work: Promise<void>): void {
    const followed: Promise<void> = work.finally(() => this.#underWay.delete(followed));
    this.#underWay.add(followed);
  }
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
