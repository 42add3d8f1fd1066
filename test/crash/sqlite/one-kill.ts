import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ClientCall, Fault, WitnessLine } from "@weftline/testing";
import type { HostLine } from "../audit/host-log.js";
import type { Block } from "../blocks.js";
import type { Judged } from "../judged.js";
import { changedSince, type Moment, orphans, redeliveries, repeatedEffects } from "../ledger.js";
import { EXPECTED } from "../pipeline.js";
import { type Ended, Program } from "../processes.js";
import { type Stall, watchForStalls } from "../stalls.js";
import { readLines } from "../witness.js";
import { newFolder, removeFolder, storedIn, withCopy } from "./copies.js";
import {
  BLOCKS,
  CLIENTS,
  type ClientLine,
  CONFIRMED,
  type ConfirmedLine,
  type HostOptions,
  KILLED_AT,
  LEASE_MS,
  STALLS,
  TICKS,
  TOLD,
  WITNESS,
} from "./host-options.js";
import { judge, type Logs, type Verdict } from "./judge.js";
import type { Sabotage } from "./sabotage.js";

export interface KillPlan {
  /** Where the first process is killed, where the one after it is, and so on; one more runs to the end. */
  readonly kills: readonly number[];
  readonly checkpointPages: number | undefined;
  /** Leases are kept by threads, and each process waits until the lease of the one before it has really run out. */
  readonly leaseThread: boolean;
  readonly sabotage: Sabotage | undefined;
}

export interface KillOutcome {
  readonly problems: readonly string[];
  /** Names of the places at which processes were killed; fewer than planned when one ended before it came there. */
  readonly killedAt: readonly string[];
  /** How often a process stood still, as the machine was busy. */
  readonly stalls: number;
  readonly takeovers: number;
  readonly redeliveries: number;
  readonly witnessLines: number;
  readonly ended: number;
  readonly judged: Pick<Judged, "checked" | "notChecked">;
  readonly exercised: Pick<Verdict, "comparisons" | "outlived">;
  /** Instants of the schedule that were fired. */
  readonly fired: number;
}

/** A process that takes so long is stuck, as it takes half a second on a quiet machine. In milliseconds. */
const STUCK_AFTER_MS = 20_000;

/** Kills processes as planned, lets the run come to its end, and looks at what is there. */
export async function killAndRecover(plan: KillPlan): Promise<KillOutcome> {
  const folder = newFolder();
  try {
    return await new Case(folder, plan).outcome();
  } finally {
    removeFolder(folder);
  }
}

class Case {
  readonly #folder: string;
  readonly #plan: KillPlan;
  readonly #problems: string[] = [];
  readonly #killedAt: string[] = [];
  readonly #faults: Fault[] = [];
  readonly #starved: Omit<Stall, "engine">[] = [];
  #moments: Moment[] = [];

  constructor(folder: string, plan: KillPlan) {
    this.#folder = folder;
    this.#plan = plan;
  }

  async outcome(): Promise<KillOutcome> {
    const unwatch = watchForStalls((stall) => this.#starved.push(stall));
    await this.#runAll().finally(unwatch);
    const last = this.#moments.at(-1)!;
    const verdict = await withCopy(this.#folder, (storage, file) => judge(storage, file, this.#logs(last)));
    this.#found(verdict?.problems ?? ["there is no database to judge"]);
    for (const before of this.#moments.slice(0, -1)) this.#found(changedSince(before, last));
    this.#found(orphans(last.runs));
    this.#found(repeatedEffects(last));
    return {
      problems: this.#problems.map((problem) => `killed at ${this.#killedAt.join(", then at ")}: ${problem}`),
      killedAt: this.#killedAt,
      stalls: this.#stalls().length,
      takeovers: last.runs.reduce((sum, { run }) => sum + Math.max(0, run.epoch - 1), 0),
      redeliveries: redeliveries(last.witness),
      witnessLines: last.witness.length,
      ended: last.runs.flatMap(({ tasks }) => tasks).filter(({ status }) => status === "succeeded").length,
      judged: verdict ?? { checked: new Map(), notChecked: new Map() },
      exercised: verdict ?? { comparisons: 0, outlived: 0 },
      fired: verdict?.coverage.schedulesFired ?? 0,
    };
  }

  #logs({ witness }: Moment): Logs {
    return {
      ...{ witness, clients: this.#clientCalls(), faults: [...this.#faults, ...this.#stalls()] },
      told: readLines<HostLine>(join(this.#folder, TOLD)),
      blocks: readLines<Block>(join(this.#folder, BLOCKS)),
      starved: this.#starved,
      ticksFrom: readLines<number>(join(this.#folder, TICKS))[0] ?? 0,
    };
  }

  async #runAll(): Promise<void> {
    // One more process than kills.
    for (let process = 0; process <= this.#plan.kills.length; process++) {
      const ended = await this.#run(process);
      this.#moments.push({ runs: await storedIn(this.#folder), witness: this.#witness() });
      this.#checkConfirmed();
      if (ended?.signal === "SIGKILL") continue;
      if (ended) this.#checkEnd(ended);
      else this.#problems.push(`a process was stuck: it did not end within ${STUCK_AFTER_MS / 1_000} s`);
      return;
    }
  }

  /** @returns `undefined`: it was stuck. */
  async #run(process: number): Promise<Ended | undefined> {
    const { kills, checkpointPages, sabotage, leaseThread } = this.#plan;
    const killAt = kills[process];
    const waitMs = process * (LEASE_MS + 100);
    // A thread has a clock of its own, which nobody can set.
    if (leaseThread && waitMs > 0) await new Promise((resolve) => setTimeout(resolve, LEASE_MS + 100));
    const options: HostOptions = {
      folder: this.#folder,
      isFirst: process === 0,
      skewMs: leaseThread ? 0 : waitMs,
      ...(leaseThread && { leaseThread }),
      ...(killAt !== undefined && { killAt }),
      ...(checkpointPages !== undefined && { checkpointPages }),
      ...(sabotage && { sabotage }),
    };
    const program = new Program(new URL("./host.js", import.meta.url), options);
    const ended = await program.endedWithin(STUCK_AFTER_MS);
    const note = join(this.#folder, KILLED_AT);
    if (ended?.signal === "SIGKILL" && existsSync(note)) {
      const at = Date.now() + options.skewMs;
      this.#killedAt.push(readFileSync(note, "utf8"));
      this.#faults.push({ kind: "kill", engine: `host-${program.process.pid}`, from: at, to: at });
    }
    return ended;
  }

  /** What a process told its listeners, or its clients, before it was killed. */
  #checkConfirmed(): void {
    const { runs } = this.#moments.at(-1)!;
    // A pass of a group that is to be repeated leaves of the task that failed its attempt alone.
    const records = runs.flatMap(({ tasks, attempts }) => [...tasks, ...attempts]);
    for (const { runId, task, index, status } of readLines<ConfirmedLine>(join(this.#folder, CONFIRMED))) {
      const isThere = records.some(
        (record) =>
          record.runId === runId &&
          record.task === task &&
          record.status === status &&
          record.index.join() === index.join(),
      );
      if (!isThere) this.#problems.push(`${task}[${index.join()}] was reported as ${status}, and is not stored so`);
    }
    for (const { operation, outcome, runId } of this.#clientLines()) {
      if (operation !== "trigger" || outcome !== "ok") continue;
      if (!runs.some(({ run }) => run.id === runId)) this.#problems.push(`run ${runId} was confirmed and is not there`);
    }
  }

  #checkEnd({ code, output, complaints }: Ended): void {
    if (code !== 0) {
      this.#problems.push(`a process failed with ${code}: ${complaints}`);
      return;
    }
    const { result } = JSON.parse(output) as { result: { report: unknown } };
    if (JSON.stringify(result.report) !== JSON.stringify(EXPECTED)) {
      this.#problems.push(`the result is ${JSON.stringify(result.report)} instead of ${JSON.stringify(EXPECTED)}`);
    }
    const parents = this.#moments.at(-1)!.runs.filter(({ run }) => run.key === "only");
    if (parents.length !== 1) this.#problems.push(`there are ${parents.length} runs of one key`);
    for (const { run } of this.#moments.at(-1)!.runs) {
      if (run.status !== "succeeded") this.#problems.push(`run ${run.id} of ${run.pipeline} is ${run.status}`);
      if (run.owner !== undefined) this.#problems.push(`run ${run.id} has ended and still has an owner`);
    }
  }

  #witness(): readonly WitnessLine[] {
    return readLines<WitnessLine>(join(this.#folder, WITNESS));
  }

  #stalls(): readonly Fault[] {
    return readLines<Stall>(join(this.#folder, STALLS)).map((stall) => ({ kind: "block", ...stall }));
  }

  #clientLines(): readonly ClientLine[] {
    return readLines<ClientLine>(join(this.#folder, CLIENTS));
  }

  #clientCalls(): readonly ClientCall[] {
    const lines = this.#clientLines();
    const returned = lines.filter(({ outcome }) => outcome !== undefined);
    return lines
      .filter(({ outcome }) => outcome === undefined)
      .map(({ operation, invokedAt }) => {
        const end = returned.find((line) => line.operation === operation && line.invokedAt === invokedAt);
        return {
          ...{ operation, invokedAt, returnedAt: end?.returnedAt, outcome: end?.outcome ?? "unknown" },
          ...(operation === "trigger" && { pipeline: "crash", key: "only", params: "{}", runId: end?.runId }),
          ...(operation === "signal" && { runId: end?.runId, task: "approval" }),
          ...(end?.code !== undefined && { code: end.code }),
        } satisfies ClientCall;
      });
  }

  #found(problems: readonly string[]): void {
    this.#problems.push(...problems);
  }
}
