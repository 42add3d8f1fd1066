import { isRunFinished, type Pipeline, type RunHandle, type RunRecord, type Storage, WeftlineError } from "weftline";
import type { ClientCall } from "../history-checker/history.js";

import type { Fleet } from "./fleet.js";
import type { SimulatedProcess } from "./simulated-process.js";
import type { Stage } from "./stage.js";
import type { CallSpec, RunSpec } from "./world.js";

/** How long a client waits for an answer before it asks somebody else. */
const PATIENCE_MS = 8_000;
const PAUSE_MS = 700;
const REMAP_TRIES = 6;
const REMAP_PAUSE_MS = 2_500;

/** Codes that say that nothing was done. */
const DEFINITE: ReadonlySet<string> = new Set([
  "IDEMPOTENCY_CONFLICT",
  "PARAMS_INVALID",
  "PIPELINE_UNKNOWN",
  "RUN_ACTIVE",
  "RUN_FINISHED",
  "RUN_UNKNOWN",
  "TASK_UNKNOWN",
  "DAG_CHANGED",
]);

type Asked<Value> =
  | { readonly outcome: "ok"; readonly value: Value }
  | { readonly outcome: "fail" | "unknown"; readonly code?: string | undefined };
type OpenCall = { -readonly [Name in keyof ClientCall]: ClientCall[Name] };

/** Those who start runs and talk to them, by way of whichever engine is up. */
export class Clients {
  readonly #calls: OpenCall[] = [];
  /** Runs that somebody ended, or began anew, on purpose. */
  readonly meddled = new Set<string>();
  readonly #stage: Stage;
  readonly #fleet: Fleet;
  /** By token: the runs that were answered with. */
  readonly #runs = new Map<string, string[]>();
  /** By token: what is said to a run when it has ended for the first time. */
  readonly #whenEnded = new Map<string, CallSpec[]>();
  #intents = 0;

  constructor(stage: Stage, fleet: Fleet) {
    this.#stage = stage;
    this.#fleet = fleet;
  }

  /** What was asked so far. Who waited for a result in a process that ended is not there to hear it. */
  get calls(): readonly ClientCall[] {
    const ended = new Set(this.#fleet.processes.filter(({ hasEnded }) => hasEnded).map(({ name }) => name));
    return this.#calls.filter(({ operation, returnedAt, engine = "" }) => {
      return operation !== "result" || returnedAt !== undefined || !ended.has(engine);
    });
  }

  /** Somebody waits for a result, in a process that lives. */
  get isWaiting(): boolean {
    return this.calls.some(({ operation, returnedAt }) => operation === "result" && returnedAt === undefined);
  }

  begin(): void {
    const { runs, calls } = this.#stage.world;
    for (const run of runs) this.#stage.time.in(run.at, () => void this.#trigger(run, run.slot));
    for (const call of calls) {
      if (call.whenEnded) this.#whenEnded.set(call.token, [...(this.#whenEnded.get(call.token) ?? []), call]);
      else this.#stage.time.in(call.at, () => void this.#say(call));
    }
  }

  /** Asks for a run and waits for it to be answered. @returns Its id. */
  async probe(process: SimulatedProcess, pipeline: Pipeline<{ token: string }>): Promise<string | undefined> {
    const params = { token: `probe-${process.name}` };
    const about = { pipeline: pipeline.id, params: params.token };
    const asked = await this.#ask("trigger", process, about, () => process.engine.trigger(pipeline, params));
    return asked.outcome === "ok" ? asked.value.id : undefined;
  }

  /** A stop that the simulation asks for. */
  stopping(engine: string, graceMs: number): { stopped(timers: number): void } {
    const call = this.#open("stop", { engine, graceMs });
    return {
      stopped: (timers) => {
        call.left = { timers };
        this.#close(call, "ok");
      },
    };
  }

  /** Unpauses what was paused, signals all who wait for it, and carries over what nobody has the version of any more. */
  async attend(store: Storage, unfinished: readonly RunRecord[]): Promise<void> {
    const { dropsVersions = false } = this.#stage.world;
    for (const run of unfinished) {
      const process = this.#fleet.upNear(0);
      if (process === undefined) return;
      if (dropsVersions && run.owner === undefined) await this.#carryOver(run);
      if (run.status === "paused") await this.#unpause(process, run.id);
      const { items } = await store.list("tasks", { runId: run.id, status: ["waiting"] }, { limit: 1_000 });
      for (const { task, wait } of items) {
        if (wait?.kind === "signal") await this.#signal(process, run.id, task, wait.key);
      }
    }
  }

  async #carryOver({ id, definition }: RunRecord): Promise<void> {
    const process = this.#fleet.upNewest;
    const isStray = this.#fleet.alive.every(({ options }) => !this.#stage.hasDefinition(options.version, definition));
    if (isStray && process !== undefined) await this.#remap(process, id);
  }

  #remap(process: SimulatedProcess, runId: string): Promise<string | undefined> {
    return this.#openAgain("remap", process, runId, () => process.engine.runs.remap(runId), true);
  }

  /** Asks again while an engine has the run. @param process - Left out: whichever has the newest version. */
  async #remapSoon(process: SimulatedProcess | undefined, runId: string): Promise<void> {
    for (let tries = 0; tries < REMAP_TRIES && !this.#stage.isHealing; tries++) {
      const asked = process ?? this.#fleet.upNewest;
      if (asked !== undefined && (await this.#remap(asked, runId)) !== "RUN_ACTIVE") return;
      await this.#stage.time.sleep(REMAP_PAUSE_MS);
    }
  }

  /** @returns The code it failed with. */
  async #openAgain(
    operation: "resume" | "rerun" | "remap",
    process: SimulatedProcess,
    runId: string,
    perform: () => Promise<RunHandle>,
    isAwaited = false,
  ): Promise<string | undefined> {
    const asked = await this.#ask(operation, process, { runId }, perform);
    if (asked.outcome !== "ok") return asked.code;
    if (isAwaited) this.#awaitResult(process, asked.value);
    return undefined;
  }

  async #trigger(spec: RunSpec, slot: number, token = spec.token, intent = `i${++this.#intents}`): Promise<void> {
    const { token: own, key } = spec;
    for (let tries = 0; tries < 20 && !this.#stage.isHealing; tries++) {
      const process = this.#fleet.upNear(slot + tries);
      if (process !== undefined) {
        const pipeline = this.#pipelineOf(process, spec.pipeline);
        const about = { pipeline: pipeline.id, key, params: token, intent };
        const options = { ...(key !== undefined && { key }), priority: spec.priority };
        const asked = await this.#ask("trigger", process, about, () =>
          process.engine.trigger(pipeline, { token }, options),
        );
        if (asked.outcome === "ok") return this.#triggered(own, process, asked.value);
        // Without a key asking again might make a second run.
        if (asked.outcome === "fail" || key === undefined) return;
      }
      await this.#stage.time.sleep(PAUSE_MS);
    }
  }

  #pipelineOf(process: SimulatedProcess, place: number): Pipeline<{ token: string }> {
    return this.#stage.pipelinesOf(process.options.version)[place] as Pipeline<{ token: string }>;
  }

  #triggered(token: string, process: SimulatedProcess, handle: RunHandle): void {
    const known = this.#runs.get(token) ?? [];
    if (!known.includes(handle.id)) this.#runs.set(token, [...known, handle.id]);
    this.#awaitResult(process, handle, () => this.#hasEnded(token));
  }

  #hasEnded(token: string): void {
    const calls = this.#whenEnded.get(token) ?? [];
    this.#whenEnded.delete(token);
    for (const call of calls) void this.#say(call);
  }

  #awaitResult(process: SimulatedProcess, handle: RunHandle, onEnd: () => void = () => {}): void {
    const call = this.#open("result", { runId: handle.id, engine: process.name });
    process.clock.in(0, () => {
      const settle = (outcome: ClientCall["outcome"], code?: string) => {
        this.#close(call, outcome, code);
        if (outcome !== "unknown") onEnd();
      };
      handle.result().then(
        () => settle("ok"),
        (error: unknown) => settle(codeOf(error) === "ENGINE_STOPPED" ? "unknown" : "fail", codeOf(error)),
      );
    });
  }

  async #say(spec: CallSpec): Promise<void> {
    const { kind, token, slot } = spec;
    const run = this.#stage.world.runs.find((other) => other.token === token);
    const process = this.#fleet.upNear(slot);
    if (run === undefined || process === undefined || this.#stage.isHealing) return;
    if (spec.beside) void this.#say({ ...spec, kind: spec.beside, beside: undefined, isAwaited: true, slot: slot + 1 });
    if (kind === "prune") return this.#prune(process, spec.keepMs ?? 0);
    if (kind === "trigger-again") return this.#trigger(run, slot);
    if (kind === "trigger-other") return run.key === undefined ? undefined : this.#trigger(run, slot, `${token}other`);
    for (const runId of this.#runs.get(token) ?? []) await this.#sayTo(runId, spec, process, run);
  }

  async #sayTo(
    runId: string,
    { kind, task, isAwaited }: CallSpec,
    process: SimulatedProcess,
    run: RunSpec,
  ): Promise<void> {
    const { runs } = process.engine;
    const pipeline = this.#pipelineOf(process, run.pipeline);
    const id = pipeline.taskIds[task % pipeline.taskIds.length]!;
    switch (kind) {
      case "cancel":
        this.meddled.add(runId);
        return void (await this.#ask("cancel", process, { runId }, () => runs.cancel(runId)));
      case "pause":
        await this.#ask("pause", process, { runId }, () => runs.pause(runId));
        await this.#stage.time.sleep(PATIENCE_MS);
        return this.#unpause(process, runId);
      case "resume":
        return void (await this.#openAgain("resume", process, runId, () => runs.resume(runId), isAwaited));
      case "rerun":
        this.meddled.add(runId);
        return void (await this.#openAgain("rerun", process, runId, () => runs.rerun(runId, { from: id }), isAwaited));
      case "delete":
        return this.#delete(process, runId);
      case "delete-children":
        // What becomes of a task whose run is gone is not said in advance.
        this.meddled.add(runId);
        for (const child of await this.#childrenOf(runId)) await this.#delete(process, child);
        return;
      case "remap":
        return this.#remapSoon(task % 4 === 0 ? process : undefined, runId);
      case "signal": {
        const waiting = pipeline.plan.tasks.find((other) => other.kind === "signal");
        if (waiting !== undefined) await this.#signal(process, runId, waiting.id, undefined);
      }
    }
  }

  async #delete(process: SimulatedProcess, runId: string): Promise<void> {
    const family = [runId, ...(await this.#childrenOf(runId))];
    if (family.some((id) => this.#stage.creations.has(id, this.#stage.time.now()))) return;
    await this.#ask("delete", process, { runId }, () => process.engine.runs.delete(runId));
  }

  async #childrenOf(runId: string): Promise<readonly string[]> {
    const { items } = await this.#stage.store.list("runs", { parent: runId }, { limit: 1_000 });
    return items.map(({ id }) => id);
  }

  async #prune(process: SimulatedProcess, keepMs: number): Promise<void> {
    const { creations, store, time } = this.#stage;
    const asked = await Promise.all(creations.at(time.now()).map((id) => store.getRun(id)));
    if (asked.some((run) => run !== undefined && isRunFinished(run.status))) return;
    await this.#ask("prune", process, {}, () => process.engine.prune({ olderThan: keepMs }));
  }

  async #unpause(process: SimulatedProcess, runId: string): Promise<void> {
    await this.#ask("unpause", process, { runId }, () => process.engine.runs.unpause(runId));
  }

  async #signal(process: SimulatedProcess, runId: string, task: string, key: string | undefined): Promise<void> {
    const { runs } = process.engine;
    const payload = { said: task };
    const send = () => (key === undefined ? runs.signal(runId, task, payload) : runs.signalKey(key, payload));
    // Whose a signal to a key becomes is for the store to say.
    await this.#ask("signal", process, key === undefined ? { runId, task } : { task }, send);
  }

  /** Asks a process, which may never answer. */
  #ask<Value>(
    operation: ClientCall["operation"],
    process: SimulatedProcess,
    about: Partial<ClientCall>,
    perform: () => Promise<Value>,
  ): Promise<Asked<Value>> {
    const call = this.#open(operation, { ...about, engine: process.name });
    return new Promise((resolve) => {
      const giveUp = this.#stage.time.in(PATIENCE_MS, () => resolve({ outcome: "unknown" }));
      const settle = (asked: Asked<Value>, code?: string): void => {
        giveUp();
        if (asked.outcome === "ok" && operation === "trigger") call.runId = (asked.value as RunHandle).id;
        this.#close(call, asked.outcome, code);
        resolve(asked);
      };
      process.clock.in(0, () => {
        perform().then(
          // False: there was nothing to do, as the run had ended.
          (value) => settle(value === false ? { outcome: "fail" } : { outcome: "ok", value }),
          (error: unknown) => {
            const code = codeOf(error);
            settle({ outcome: code !== undefined && DEFINITE.has(code) ? "fail" : "unknown", code }, code);
          },
        );
      });
    });
  }

  #open(operation: ClientCall["operation"], about: Partial<ClientCall>): OpenCall {
    const call: OpenCall = {
      ...about,
      operation,
      invokedAt: this.#stage.time.now(),
      returnedAt: undefined,
      outcome: "unknown",
    };
    this.#calls.push(call);
    return call;
  }

  #close(call: OpenCall, outcome: ClientCall["outcome"], code?: string): void {
    call.returnedAt = this.#stage.time.now();
    call.outcome = outcome;
    if (code !== undefined) call.code = code;
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof WeftlineError ? error.code : undefined;
}
