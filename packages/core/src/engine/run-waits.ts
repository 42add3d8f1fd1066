import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { RunMessage } from "../contracts/records.js";
import type { TaskDefinition } from "../define/definition.js";
import { type Duration, durationMs } from "../define/duration.js";
import { describeIssue } from "../define/params.js";
import { show } from "../define/show.js";
import { WeftlineError } from "../errors.js";
import { WAITING } from "../run/state.js";
import * as transition from "../run/transition.js";
import { decode, type Encoded, encode } from "../values/codec.js";
import { type ErrorRecord, toErrorRecord } from "../values/error-record.js";
import { wasCancelledWith } from "./child-runs.js";
import { keyContext } from "./key-context.js";
import type { RunHost, RunParts } from "./run-parts.js";
import { isSignalKey, MAX_SIGNAL_KEY_LENGTH } from "./signal-keys.js";

type SignalMessage = Extract<RunMessage, { readonly kind: "signal" }>;

/** What waits ask of their run beside what all parts do. */
export interface WaitsHost extends RunHost {
  /** A wait failed; whether it is retried is the task's policy to say. */
  waitFailed(instance: number, error: ErrorRecord, retryable: boolean): void;
  /** Arms the task's deadline over all its time. */
  armDeadline(instance: number, startedAt: number): void;
}

const NOTHING = encode(undefined, "output");
const NONE: readonly number[] = Object.freeze([]);

/** The tasks of one run that wait for a time, a signal or another run. None of them holds a slot. */
export class RunWaits {
  readonly #run: RunParts;
  readonly #host: WaitsHost;
  /** Signals that nobody waits for yet, oldest first. */
  readonly #signals: SignalMessage[] = [];
  /** Waits whose records the next flush will hold. */
  #begun: number[] = [];
  /** Signals whose payloads are being checked. */
  #checking = 0;
  #isClosed = false;

  constructor(run: RunParts, host: WaitsHost) {
    this.#run = run;
    this.#host = host;
  }

  /** Whether some task waits for another run, of whose end only this run would hear. */
  get hasRuns(): boolean {
    const { state } = this.#run;
    for (const [instance, wait] of state.waits) {
      if (wait.kind === "run" && state.status[instance] === WAITING) return true;
    }
    return false;
  }

  /** Whether a signal has been taken out of the inbox that may end a wait. */
  get isChecking(): boolean {
    return this.#checking > 0;
  }

  close(): void {
    this.#isClosed = true;
  }

  /** @returns Whether the instance waits now, instead of making an attempt. */
  begin(instance: number): boolean {
    const { core, state } = this.#run;
    const { kind, extra } = this.#taskOf(instance);
    const former = state.waits.get(instance);
    if (kind === "run" && former?.kind === "run") this.#resumeRun(instance, former.runId);
    else if (extra.sleepMs !== undefined) this.#sleepUntil(instance, core.clock.now() + extra.sleepMs);
    else if (kind === "signal") this.#awaitSignal(instance);
    else return false;
    this.#host.afterTransition();
    return true;
  }

  // ---- Times

  /** @param given - What the task's function returned: a length, or a moment. @throws {WeftlineError} `WAIT_INVALID`. */
  sleep(instance: number, given: Encoded): void {
    const now = this.#run.core.clock.now();
    const value = decode(given);
    this.#sleepUntil(instance, this.#taskOf(instance).extra.isUntil ? momentOf(value) : now + lengthOf(value));
  }

  #sleepUntil(instance: number, until: number): void {
    this.#wait(instance, { kind: "sleep", until });
    this.#armSleep(instance, until);
  }

  #armSleep(instance: number, until: number): void {
    this.#run.timers.armWake(instance, until, () => this.#over(instance, NOTHING));
  }

  /** A poll's probe found nothing. */
  lookAgain(instance: number): void {
    const { core, state } = this.#run;
    const former = state.waits.get(instance);
    const probes = (former?.kind === "poll" ? former.probes : 0) + 1;
    const until = core.clock.now() + this.#taskOf(instance).extra.everyMs!;
    this.#wait(instance, { kind: "poll", until, probes });
    this.#armLook(instance, until);
  }

  #armLook(instance: number, until: number): void {
    this.#run.timers.armWake(instance, until, () => {
      if (transition.wake(this.#run.state, instance)) this.#host.startNow([instance]);
    });
  }

  // ---- Signals

  /** Something was said to the run. It stays in the inbox until a task takes it. */
  receive(message: SignalMessage): void {
    this.#signals.push(message);
    const waiting = this.#waitingFor(message);
    if (waiting !== undefined) void this.#take(waiting, message);
  }

  #awaitSignal(instance: number): void {
    const { signalKey } = this.#taskOf(instance).extra;
    try {
      const key = signalKey === undefined ? undefined : usableKey(signalKey(keyContext(this.#run, instance)));
      this.#wait(instance, { kind: "signal", key });
    } catch (thrown) {
      this.#wait(instance, { kind: "signal", key: undefined });
      return this.#host.waitFailed(instance, toErrorRecord(thrown), false);
    }
    this.#host.armDeadline(instance, this.#run.state.firstStartAt.get(instance)!);
    this.#lookForSignal(instance);
  }

  #lookForSignal(instance: number): void {
    const message = this.#signals.find((signal) => this.#fits(instance, signal));
    if (message !== undefined) void this.#take(instance, message);
  }

  #waitingFor(message: SignalMessage): number | undefined {
    for (const instance of this.#run.state.waits.keys()) if (this.#fits(instance, message)) return instance;
    return undefined;
  }

  #fits(instance: number, { to }: SignalMessage): boolean {
    const { state } = this.#run;
    const wait = state.waits.get(instance);
    if (wait?.kind !== "signal" || state.status[instance] !== WAITING) return false;
    return "key" in to ? to.key === wait.key : to.task === this.#taskOf(instance).id;
  }

  /** What it got was dropped: storage gives it the next one as soon as that is durable. */
  #lookFurther(instance: number): void {
    this.#begun.push(instance);
    this.#lookForSignal(instance);
  }

  /** Signals to a run were checked where they were sent; those to a key only now, as only here it is known by what. */
  async #take(instance: number, message: SignalMessage): Promise<void> {
    this.#signals.splice(this.#signals.indexOf(message), 1);
    const { schema } = this.#taskOf(instance).extra;
    let payload: Encoded | undefined = message.payload;
    if ("key" in message.to && schema !== undefined) {
      this.#checking++;
      payload = await this.#checked(instance, schema, message);
      this.#checking--;
    }
    if (this.#isClosed) return;
    if (!this.#fits(instance, message)) return this.receive(message); // taken by another, or the task has ended meanwhile
    this.#run.recorder.consume(message.id);
    if (payload === undefined) this.#lookFurther(instance);
    else this.#over(instance, payload);
    this.#run.core.journal.mark(this.#run.journaled);
  }

  async #checked(instance: number, schema: StandardSchemaV1, message: SignalMessage): Promise<Encoded | undefined> {
    const { core, record } = this.#run;
    try {
      const result = await schema["~standard"].validate(decode(message.payload));
      if (result.issues === undefined) return encode(result.value, "output", core.limits);
      const problems = result.issues.map(describeIssue);
      core.log.warn(
        { runId: record.id, task: this.#taskOf(instance).id, problems },
        "a signal that does not fit was dropped",
      );
    } catch (error) {
      core.log.warn({ runId: record.id, error }, "a signal that cannot be checked was dropped");
    }
    return undefined;
  }

  // ---- Other runs

  /** @param params - What the task's function returned. */
  startRun(instance: number, params: Encoded): void {
    this.#wait(instance, { kind: "run", runId: this.#run.core.newId(), params });
  }

  /** After a resume: the run that was started before goes on. */
  #resumeRun(instance: number, runId: string): void {
    this.#wait(instance, this.#run.state.waits.get(instance)!);
    this.#begun = this.#begun.filter((other) => other !== instance);
    this.#resumeChild(instance, runId);
  }

  #resumeChild(instance: number, runId: string): void {
    this.#run.core.children.resume(runId).then(
      (isThere) => (isThere ? this.#awaitResumed(instance, runId) : this.#startAnother(instance, runId)),
      (error: unknown) => this.#runFailed(instance, runId, error, () => this.#resumeChild(instance, runId)),
    );
  }

  /** The run that was started is gone. Its id was its own, and what its tasks told others by that is not to be told again. */
  #startAnother(instance: number, runId: string): void {
    const wait = this.#run.state.waits.get(instance);
    if (wait?.kind !== "run" || !this.#isAwaiting(instance, runId)) return;
    this.startRun(instance, wait.params);
    this.#run.core.journal.mark(this.#run.journaled);
  }

  async #startChild(instance: number): Promise<void> {
    const { core, state, record } = this.#run;
    const wait = state.waits.get(instance);
    if (wait?.kind !== "run") return;
    const { id: task, extra } = this.#taskOf(instance);
    const parent = { runId: record.id, task, index: state.indexOf(instance) };
    const { priority, tags } = record;
    try {
      await core.children.start({
        id: wait.runId,
        pipeline: extra.child!,
        params: wait.params,
        parent,
        priority,
        tags,
      });
    } catch (error) {
      return this.#runFailed(instance, wait.runId, error);
    }
    if (state.status[instance] === WAITING) this.#awaitRun(instance, wait.runId);
    else core.children.cancel(wait.runId, record.id, "nobody waits for it any more");
  }

  #awaitRun(
    instance: number,
    runId: string,
    failed: (error: unknown) => void = (error) => this.#runFailed(instance, runId, error),
  ): void {
    const { child } = this.#taskOf(instance).extra;
    this.#run.core.children.resultOf(runId, child!).then((result) => {
      if (this.#isAwaiting(instance, runId)) this.#over(instance, result);
    }, failed);
  }

  /** It may have been cancelled with this run, and not have ended when it was to go on: then it goes on now. */
  #awaitResumed(instance: number, runId: string): void {
    this.#awaitRun(instance, runId, (error) => {
      const isFromBefore = this.#isAwaiting(instance, runId) && wasCancelledWith(this.#run.record.id, error);
      if (isFromBefore) this.#resumeChild(instance, runId);
      else this.#runFailed(instance, runId, error);
    });
  }

  #runFailed(
    instance: number,
    runId: string,
    error: unknown,
    again: () => void = () => void this.#startChild(instance),
  ): void {
    const { core, record } = this.#run;
    if (!this.#isAwaiting(instance, runId)) return;
    const code = error instanceof WeftlineError ? error.code : undefined;
    if (code === "ENGINE_STOPPED") return; // whoever owns the run next waits on
    if (code !== undefined) return this.#host.waitFailed(instance, toErrorRecord(error), code === "CHILD_FAILED");
    core.log.warn({ runId: record.id, error }, "the run that a task started could not be looked at; trying again");
    core.children.later(() => {
      if (this.#isAwaiting(instance, runId)) again();
    });
  }

  #isAwaiting(instance: number, runId: string): boolean {
    const { state } = this.#run;
    const wait = state.waits.get(instance);
    if (this.#isClosed || state.status[instance] !== WAITING) return false;
    return wait?.kind === "run" && wait.runId === runId;
  }

  /** A wait was cancelled, or its time is up: a run that was started for it ends too. */
  ended(instance: number, reason: string): void {
    const { core, state, record } = this.#run;
    const wait = state.waits.get(instance);
    if (wait?.kind === "run") core.children.cancel(wait.runId, record.id, reason);
  }

  // ---- All kinds

  /** Hands over those whose records go into the next flush. */
  takeBegun(): readonly number[] {
    return this.#begun.length === 0 ? NONE : this.#begun.splice(0);
  }

  /** The records of these waits are durable: what they wait for is looked for. */
  confirmed(waits: readonly number[]): void {
    const { core, state } = this.#run;
    let hasKeys = false;
    for (const instance of waits) {
      const wait = state.waits.get(instance);
      if (state.status[instance] !== WAITING) continue;
      if (wait?.kind === "run") void this.#startChild(instance);
      if (wait?.kind === "signal" && wait.key !== undefined) hasKeys = true;
    }
    if (hasKeys) core.lookForSignals();
  }

  /** After a takeover: waits go on until the same moments. */
  restore(): void {
    const { state } = this.#run;
    for (const [instance, wait] of state.waits) {
      if (state.status[instance] !== WAITING) continue;
      if (wait.kind === "sleep") this.#armSleep(instance, wait.until);
      if (wait.kind === "poll") this.#armLook(instance, wait.until);
      if (wait.kind === "run") void this.#startChild(instance);
    }
  }

  #wait(instance: number, what: Parameters<typeof transition.wait>[2]): void {
    const { core, state, recorder } = this.#run;
    if (!state.firstStartAt.has(instance)) state.firstStartAt.set(instance, core.clock.now());
    transition.wait(state, instance, what);
    recorder.waiting(instance);
    this.#begun.push(instance);
  }

  #over(instance: number, output: Encoded): void {
    const { state, effects, outputs, recorder, timers } = this.#run;
    if (state.status[instance] !== WAITING) return;
    outputs.set(instance, output);
    state.waits.delete(instance);
    transition.succeed(state, instance, effects);
    timers.clear(instance);
    recorder.settled(instance, { output });
    const { produces } = this.#taskOf(instance).policy;
    if (produces.length > 0) recorder.produced({ instance, number: state.attempts[instance]! }, produces);
    this.#host.afterTransition();
  }

  #taskOf(instance: number): TaskDefinition {
    const { state } = this.#run;
    return state.plan.tasks[state.positionOf(instance)]!;
  }
}

function lengthOf(value: unknown): number {
  try {
    return durationMs(value as Duration, "the length of a sleep");
  } catch (cause) {
    throw invalid(`${show(value)} is no length of time`, 'Return milliseconds or a text such as "10m".', cause);
  }
}

function momentOf(value: unknown): number {
  const moment = Number(value);
  if ((value instanceof Date || typeof value === "number") && Number.isFinite(moment)) return moment;
  throw invalid(`${show(value)} is no moment`, "Return a valid Date or epoch milliseconds.");
}

function usableKey(key: unknown): string {
  if (isSignalKey(key)) return key;
  throw invalid(
    `${show(key)} is no key of a signal`,
    `Return a text of 1 to ${MAX_SIGNAL_KEY_LENGTH} characters without NUL.`,
  );
}

function invalid(problem: string, remedy: string, cause?: unknown): WeftlineError {
  return new WeftlineError("WAIT_INVALID", `Cannot wait: ${problem}. ${remedy}`, { cause });
}
