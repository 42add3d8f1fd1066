import type { StandardSchemaV1 } from "@standard-schema/spec";
import { isRunFinished, type RunMessage } from "../contracts/records.js";
import { describeIssue, validateParams } from "../define/params.js";
import type { Pipeline } from "../define/pipeline.js";
import { show } from "../define/show.js";
import { WeftlineError } from "../errors.js";
import { asText } from "../execute/as-text.js";
import type { TaskExplanation } from "../run/explain.js";
import { type Encoded, encode, type ValueLimits } from "../values/codec.js";
import { checkedOptions, checkValue } from "./check-query.js";
import { runUnknown, taskName } from "./errors.js";
import { type Explained, explainRun, explainTask, type RunExplanation } from "./explain.js";
import type { Gate } from "./limits.js";
import type { Ownership } from "./ownership.js";
import { everyRecord } from "./paging.js";
import type { RemapOptions } from "./remap.js";
import type { RunHandle } from "./run-handle.js";
import { type HistoryHost, RunHistory } from "./run-history.js";
import { isSignalKey, MAX_SIGNAL_KEY_LENGTH } from "./signal-keys.js";
import type { StrayRuns } from "./stray-runs.js";
import { boundReason } from "./task-records.js";
import type { RunInfo } from "./views.js";

export interface CancelOptions {
  /** Cancel this task, or group, alone; tasks that need it become `upstream-failed`. */
  readonly task?: string;
  /** One item of the task, such as `[3]`. */
  readonly index?: readonly number[];
  /** With everything that depends on the task, whatever its rule. Default: false. */
  readonly downstream?: boolean;
  /** Kept in history and shown to people. */
  readonly reason?: string;
}

export interface RerunOptions {
  /** The tasks, or groups, to run again. */
  readonly from: string | readonly string[];
  /** Run everything again that depends on them. Default: true. */
  readonly withDownstream?: boolean;
  /** Run these alone: the same as `withDownstream: false`. */
  readonly only?: boolean;
  /** Other params for the run, from now on. Default: as they were. */
  readonly params?: unknown;
}

const CANCEL_OPTIONS = { index: "places", downstream: "flag", reason: "text" } as const;
const RERUN_OPTIONS = { withDownstream: "flag", only: "flag" } as const;

/** What the runs API needs of its engine. */
export interface RunsHost extends HistoryHost {
  readonly ownership: Ownership;
  readonly strays: StrayRuns;
  readonly newId: () => string;
  readonly now: () => number;
  /** Takes up what is due, where the engine has been started. */
  claim(): Promise<void>;
  readonly limits: ValueLimits;
  readonly engineId: string;
  /** The engine's own limit. */
  readonly total: Gate;
  handle(runId: string, pipeline: Pipeline): RunHandle;
}

/** The history of runs, and what an operator does to them. Works the same for runs of other engines on the same storage. */
export class Runs extends RunHistory<RunsHost> {
  /**
   * Ends a run, or one task of it. What runs is told to stop through its signal; what waits never starts.
   *
   * @returns False when the run had already ended.
   * @throws {WeftlineError} `RUN_UNKNOWN`, `TASK_UNKNOWN`.
   */
  async cancel(runId: string, options: CancelOptions = {}): Promise<boolean> {
    const { task, index = [], downstream = false, reason } = checkedOptions(options, CANCEL_OPTIONS);
    const run = await this.get(runId);
    if (task !== undefined) this.#checkTask(run, task, "cancel");
    const message = { kind: "cancel", task, index, downstream, reason: boundReason(reason) } as const;
    const result = await this.#send({ ...this.#envelope(runId), ...message });
    await this.host.ownership.deliver();
    // One that nobody owned is due by now, and storage may be one that gives no hints.
    if (result === undefined && !this.host.ownership.has(runId)) await this.host.claim();
    if (result === undefined && task === undefined) await this.host.strays.end(runId, message.reason);
    return result === undefined;
  }

  /**
   * Carries a run over to the version of its pipeline that this engine has, and goes on with it: for runs that were made
   * with another version and that no engine can take, or that failed under it. What tasks have done is kept under their
   * new ids, and never taken for what another task did.
   *
   * @returns A handle whose `result()` is that of the run under its new version.
   * @throws {WeftlineError} `DAG_CHANGED` names what cannot be matched, with the difference of the versions;
   * `RUN_UNKNOWN`; `RUN_ACTIVE` while an engine has it; `RUN_FINISHED` when it succeeded; `PIPELINE_UNKNOWN`.
   */
  async remap(runId: string, options: RemapOptions = {}): Promise<RunHandle> {
    const run = await this.get(runId);
    const pipeline = await this.host.strays.remap(run, checkedOptions(options), () => this.#resumeIfEnded(runId));
    return this.host.handle(runId, pipeline);
  }

  async #resumeIfEnded(runId: string): Promise<void> {
    const refused = await this.#send({ ...this.#envelope(runId), kind: "resume" });
    if (refused === "RUN_FINISHED") throw cannotResume(runId);
  }

  /**
   * Lets nothing start in the run until it is unpaused; what runs goes on to its end.
   *
   * @returns False when the run had already ended.
   * @throws {WeftlineError} `RUN_UNKNOWN`.
   */
  async pause(runId: string): Promise<boolean> {
    return this.#say(runId, "pause");
  }

  /** Goes on with a paused run. @returns False when it had ended. @throws {WeftlineError} `RUN_UNKNOWN`. */
  async unpause(runId: string): Promise<boolean> {
    return this.#say(runId, "unpause");
  }

  async #say(runId: string, kind: "pause" | "unpause"): Promise<boolean> {
    await this.get(runId);
    const result = await this.#send({ ...this.#envelope(runId), kind });
    await this.host.ownership.deliver();
    return result === undefined;
  }

  /**
   * Sends a payload to a task of the run that waits for it (`p.signal`). It is kept when it comes before anybody waits.
   *
   * @param task - The id of the signal task.
   * @throws {WeftlineError} `RUN_UNKNOWN`; `RUN_FINISHED`; `TASK_UNKNOWN`; `SIGNAL_INVALID` when the task's schema
   * refuses the payload, or it cannot be stored.
   */
  async signal(runId: string, task: string, payload?: unknown): Promise<void> {
    const run = await this.get(runId);
    const pipeline = this.#checkTask(run, task, "signal");
    const definition = pipeline?.plan.tasks[pipeline.plan.positions.get(task)!];
    if (definition !== undefined && definition.kind !== "signal") {
      throw signalInvalid(
        `task "${task}" of pipeline "${run.pipeline}" waits for no signal`,
        "Name a p.signal() task.",
      );
    }
    const encoded = await signalPayload(payload, definition?.extra.schema, task, this.host.limits);
    const result = await this.#send({ ...this.#envelope(runId), kind: "signal", to: { task }, payload: encoded });
    if (result !== undefined) {
      throw new WeftlineError(
        "RUN_FINISHED",
        `Cannot signal run ${runId} as it has ended. Its status is ${run.status}.`,
      );
    }
    await this.host.ownership.deliver();
  }

  /**
   * Sends a payload to whichever task waits for this key (`p.signal(id, { key })`), in any run, now or later. One signal
   * ends one wait, the longest.
   *
   * @throws {WeftlineError} `SIGNAL_INVALID` for a key or payload that cannot be stored. A payload that the task's schema
   * refuses is dropped with a warning where the task waits.
   */
  async signalKey(key: string, payload?: unknown): Promise<void> {
    if (!isSignalKey(key)) {
      throw signalInvalid(
        "its key is no usable text",
        `Give a text of 1 to ${MAX_SIGNAL_KEY_LENGTH} characters without NUL.`,
      );
    }
    await this.host.ready();
    const encoded = await signalPayload(payload, undefined, key, this.host.limits);
    await this.host.storage.sendSignals([{ id: this.host.newId(), key, payload: encoded, sentAt: this.host.now() }]);
    await this.host.ownership.deliver();
  }

  /**
   * Runs tasks of a finished run again, and everything that depends on them, as a new generation: what they did before
   * stays in history (`runs.tasks(id, { generation: 1 })`).
   *
   * @returns A handle whose `result()` is that of the run when it has ended again.
   * @throws {WeftlineError} `RUN_UNKNOWN`; `TASK_UNKNOWN`; `RUN_ACTIVE` while it has not ended; `PARAMS_INVALID`;
   * `DAG_CHANGED` when this engine has another version of the pipeline.
   */
  async rerun(runId: string, options: RerunOptions): Promise<RunHandle> {
    const { from, withDownstream = true, only = false, params } = checkedOptions(options, RERUN_OPTIONS);
    const run = await this.get(runId);
    const pipeline = await this.pipelineOf(run, "rerun");
    const tasks = typeof from === "string" ? [from] : from;
    if (!Array.isArray(tasks) || tasks.length === 0) {
      throw new WeftlineError(
        "QUERY_INVALID",
        `Cannot rerun run ${runId} from nothing. Name the tasks: { from: ["train"] }.`,
      );
    }
    for (const task of tasks) this.#checkTask(run, task, "rerun");
    const valid = params === undefined ? undefined : await validateParams(pipeline, params);
    const encoded = params === undefined ? undefined : encode(valid, "params", this.host.limits);
    const message = { kind: "rerun", tasks, downstream: withDownstream && !only, params: encoded } as const;
    const refused = await this.#send({ ...this.#envelope(runId), ...message });
    if (refused !== undefined) {
      throw new WeftlineError(
        "RUN_ACTIVE",
        `Cannot rerun tasks of run ${runId} as it has not ended: its status is ${run.status}. Wait for it, or cancel it first.`,
      );
    }
    await this.host.claim();
    return this.host.handle(runId, pipeline);
  }

  /**
   * Deletes a finished run with its history, and the runs that its tasks started.
   *
   * @returns False when there is no such run.
   * @throws {WeftlineError} `RUN_ACTIVE` when it, or one of those runs, has not ended.
   */
  async delete(runId: string): Promise<boolean> {
    if (typeof runId !== "string") return false;
    await this.host.ready();
    const { storage } = this.host;
    const run = await storage.getRun(runId);
    if (run === undefined) return false;
    const family = [run]; // all of it or nothing: grows while it is walked
    for (const { id, status } of family) {
      if (!isRunFinished(status)) throw cannotDelete(id);
      for await (const child of everyRecord((page) => storage.list("runs", { parent: id }, page))) family.push(child);
    }
    let result: string | undefined;
    for (const { id } of family.reverse()) {
      result = await storage.deleteRun(id);
      if (result === "active") throw cannotDelete(id); // opened again meanwhile
    }
    return result === "deleted";
  }

  /** Why a run has not ended, or ended as it did: as data, and as a text for people. @throws {WeftlineError} `RUN_UNKNOWN`, `DAG_CHANGED`. */
  explain(runId: string): Promise<RunExplanation>;
  /**
   * Why a task has not started, or what became of it.
   *
   * @param index - Of an item, or of a task inside a mapped group.
   * @throws {WeftlineError} `RUN_UNKNOWN`; `TASK_UNKNOWN`, also for an index that its lists do not have; `DAG_CHANGED`.
   */
  explain(runId: string, task: string, index?: readonly number[]): Promise<TaskExplanation>;
  async explain(
    runId: string,
    task?: string,
    index: readonly number[] = [],
  ): Promise<RunExplanation | TaskExplanation> {
    const explained = await this.#explained(runId);
    checkValue("index", index, "places");
    if (task === undefined) return explainRun(explained);
    this.#checkTask(explained.run, task, "explain");
    const { plan } = explained.pipeline;
    const explanation = await explainTask(explained, plan.positions.get(task)!, index);
    if (explanation !== undefined) return explanation;
    throw new WeftlineError(
      "TASK_UNKNOWN",
      `Cannot explain ${taskName(task, index)} of run ${runId}: the lists it stands in have no such place (yet).`,
    );
  }

  async #explained(runId: string): Promise<Explained> {
    await this.get(runId);
    const { storage, ownership, total, engineId } = this.host;
    const active = ownership.active.get(runId);
    const stored = (await storage.getRun(runId))!;
    const run = active ? { ...stored, status: active.status } : stored;
    const pipeline = await this.pipelineOf(run, "explain");
    const isFree = run.owner === undefined && run.status !== "quarantined";
    const state = active?.state ?? (await ownership.load(run, { pipeline }, isFree)).state;
    return { run, pipeline, state, active, total, storage, engineId, now: this.host.now() };
  }

  /** @returns The pipeline, where this engine has it. */
  #checkTask(run: Pick<RunInfo, "definition" | "pipeline">, task: string, what: string): Pipeline | undefined {
    const pipeline = this.host.pipelineOf(run.definition);
    if (typeof task === "string" && (pipeline === undefined || pipeline.plan.positions.has(task))) return pipeline;
    const known = pipeline?.taskIds.slice(0, 20).join(", ") ?? "others";
    throw new WeftlineError(
      "TASK_UNKNOWN",
      `Cannot ${what} task ${show(task)} as pipeline "${run.pipeline}" has no such task. It has ${known}.`,
    );
  }

  /**
   * Goes on with a failed or cancelled run from the point of failure: what succeeded is not run again.
   *
   * @returns A handle whose `result()` is that of the continued run.
   * @throws {WeftlineError} `RUN_UNKNOWN`; `RUN_ACTIVE` while it has not ended; `RUN_FINISHED` when it succeeded;
   * `DAG_CHANGED` when this engine has another version of the pipeline.
   */
  async resume(runId: string): Promise<RunHandle> {
    const run = await this.get(runId);
    const pipeline = await this.pipelineOf(run, "resume");
    const refused = await this.#send({ ...this.#envelope(runId), kind: "resume" });
    if (refused === "RUN_ACTIVE")
      throw new WeftlineError(
        "RUN_ACTIVE",
        `Cannot resume run ${runId} as it has not ended: its status is ${run.status}. Wait for it, or cancel it first.`,
      );
    if (refused === "RUN_FINISHED") throw cannotResume(runId);
    await this.host.claim();
    return this.host.handle(runId, pipeline);
  }

  async #send(message: RunMessage): Promise<string | undefined> {
    const [result] = await this.host.storage.send([message]);
    if (result?.kind !== "refused") return undefined;
    if (result.code === "RUN_UNKNOWN") throw runUnknown(message.runId);
    return result.code;
  }

  #envelope(runId: string): Pick<RunMessage, "id" | "runId" | "sentAt"> {
    return { id: this.host.newId(), runId, sentAt: this.host.now() };
  }
}

function cannotResume(runId: string): WeftlineError {
  return new WeftlineError(
    "RUN_FINISHED",
    `Cannot resume run ${runId} as it succeeded. Start a new run to do the work again.`,
  );
}

function cannotDelete(runId: string): WeftlineError {
  return new WeftlineError("RUN_ACTIVE", `Cannot delete run ${runId} as it has not ended. Cancel it first.`);
}

/** @throws {WeftlineError} `SIGNAL_INVALID`. @returns What the schema made of the payload, encoded. */
async function signalPayload(
  payload: unknown,
  schema: StandardSchemaV1 | undefined,
  to: string,
  limits: ValueLimits,
): Promise<Encoded> {
  const value = schema === undefined ? payload : await validatedPayload(payload, schema, to);
  try {
    return encode(value, "output", limits);
  } catch (cause) {
    throw signalInvalid("its payload cannot be stored", String((cause as Error).message), cause);
  }
}

async function validatedPayload(payload: unknown, schema: StandardSchemaV1, to: string): Promise<unknown> {
  let result: StandardSchemaV1.Result<unknown>;
  try {
    result = await schema["~standard"].validate(payload);
  } catch (cause) {
    throw signalInvalid(
      `the schema of "${to}" threw: ${asText((cause as Error | undefined)?.message)}`,
      "Correct the schema.",
      cause,
    );
  }
  if (result.issues === undefined) return result.value;
  const problems = result.issues.map(describeIssue).join("; ");
  throw signalInvalid(`its payload does not fit "${to}": ${problems}`, "Correct the payload and send it again.");
}

function signalInvalid(problem: string, remedy: string, cause?: unknown): WeftlineError {
  return new WeftlineError("SIGNAL_INVALID", `Cannot send this signal: ${problem}. ${remedy}`, { cause });
}
