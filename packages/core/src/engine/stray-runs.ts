import type { RunRecord, TaskRecord } from "../contracts/records.js";
import type { RemapRequest, Storage } from "../contracts/storage.js";
import type { PipelineDescription } from "../define/description.js";
import type { Pipeline } from "../define/pipeline.js";
import { WeftlineError } from "../errors.js";
import { decode } from "../values/codec.js";
import { toErrorRecord } from "../values/error-record.js";
import * as abortReasons from "./abort-reasons.js";
import { cancelledTasks } from "./cancelled-tasks.js";
import { EndedRun } from "./ended-run.js";
import type { EngineCore } from "./engine-core.js";
import type { Ownership } from "./ownership.js";
import { everyRecord } from "./paging.js";
import { type RemapOptions, remapTasks } from "./remap.js";

export interface StrayRunsOptions {
  readonly core: EngineCore;
  readonly storage: Storage;
  readonly ownership: Ownership;
  /** Nothing is claimed by an engine that has not been started. */
  readonly isRunning: () => boolean;
  readonly pipelineOf: (definition: string) => Pipeline | undefined;
  readonly pipelineOfId: (id: string) => Pipeline | undefined;
}

/** Between tries whose answers are lost, in milliseconds. */
const FIRST_PAUSE_MS = 50;
const LAST_PAUSE_MS = 2_000;

/** Runs that were made with a version of their pipeline that engines do not have any more: what can be done to them here. */
export class StrayRuns {
  readonly #options: StrayRunsOptions;
  /** Runs that a command goes on with. */
  readonly #inHand = new Set<string>();

  constructor(options: StrayRunsOptions) {
    this.#options = options;
  }

  /** Ends a run that was cancelled, with what had not ended of it and the runs it started, when no engine is there that could. */
  async end(runId: string, reason: string | undefined): Promise<void> {
    if (this.#inHand.has(runId)) return;
    await this.#holding(runId, async () => {
      const run = await this.#options.storage.getRun(runId);
      if (run === undefined || !(await this.#isStray(run))) return;
      const claimed = await this.#options.ownership.claimOne(runId);
      if (claimed !== undefined) await this.#cancel(claimed, reason);
    });
  }

  /** Whether nobody who lives has the version of the run, or it is left to us from an earlier try. */
  async #isStray({ id, definition, owner }: RunRecord): Promise<boolean> {
    const { core, storage, ownership, pipelineOf, isRunning } = this.#options;
    if (!isRunning() || pipelineOf(definition) !== undefined) return false;
    if (owner !== undefined) return owner === core.engineId && !ownership.has(id);
    const { unadoptable } = await storage.survey({ now: core.clock.now() });
    return unadoptable.some((stray) => stray.definition === definition);
  }

  async #cancel(run: RunRecord, reason: string | undefined): Promise<void> {
    const { core } = this.#options;
    const error = toErrorRecord(abortReasons.runCancelled(reason));
    const finishedAt = core.clock.now();
    const tasks = await this.#cancelledTasks(run, finishedAt, error.message);
    const ended = new EndedRun(run, { status: "cancelled", error, finishedAt, tasks });
    core.journal.mark(ended);
    if (!(await ended.isWritten)) return;
    for (const { wait } of tasks) {
      if (wait?.kind === "run") core.children.cancel(wait.runId, `its parent, run ${run.id}: ${error.message}`);
    }
  }

  /** One command at a time goes on with a run that was claimed for it: nothing else would tell two of them apart. */
  async #holding<Result>(runId: string, command: () => Promise<Result>): Promise<Result> {
    this.#inHand.add(runId);
    try {
      return await command();
    } finally {
      this.#inHand.delete(runId);
    }
  }

  /** Records that cannot be read must not keep anybody from ending the run. */
  async #cancelledTasks(run: RunRecord, at: number, reason: string): Promise<readonly TaskRecord[]> {
    const { core, storage } = this.#options;
    try {
      return await cancelledTasks(storage, run, { at, reason });
    } catch (error) {
      core.log.warn({ runId: run.id, error }, "the tasks of a cancelled run could not be read: they stay as they are");
      return [];
    }
  }

  /**
   * Moves a run to the version of its pipeline that this engine has, and takes it up.
   *
   * @param resume - Opens the run again in case it has ended.
   * @returns The pipeline it is a run of now.
   */
  async remap(
    run: Pick<RunRecord, "id" | "pipeline" | "definition">,
    options: RemapOptions,
    resume: () => Promise<void>,
  ): Promise<Pipeline> {
    if (!this.#options.isRunning()) throw notStarted(run.id);
    if (this.#inHand.has(run.id)) throw isActive(run.id);
    return this.#holding(run.id, async () => {
      const pipeline = this.#target(run);
      const tasks = await this.#tasks(run, pipeline, options); // before anything is changed
      await resume();
      await this.#move(run.id, pipeline, tasks);
      return pipeline;
    });
  }

  async #move(runId: string, pipeline: Pipeline, tasks: RemapRequest["tasks"]): Promise<void> {
    const { core, ownership } = this.#options;
    const claimed = await ownership.claimOne(runId);
    if (claimed === undefined) throw isActive(runId);
    const { epoch } = claimed;
    const request = { engineId: core.engineId, runId, epoch, definition: pipeline.hash, tasks };
    if ((await this.#remapOnce(request)) === "fenced") throw isActive(runId);
    await ownership.adopt({ ...claimed, definition: pipeline.hash });
  }

  /** Moving twice would move what was moved: after a lost answer the run says whether it was. */
  async #remapOnce(request: RemapRequest): Promise<"moved" | "fenced"> {
    const { storage, core } = this.#options;
    for (let delay = FIRST_PAUSE_MS; ; delay *= 2) {
      try {
        return await storage.remapRun(request);
      } catch (error) {
        if (delay > LAST_PAUSE_MS) throw error;
        await new Promise<void>((goOn) => void core.clock.timer(core.clock.now() + delay, goOn));
        const stored = await storage.getRun(request.runId);
        if (stored?.definition === request.definition) return "moved";
      }
    }
  }

  #target({ id, pipeline, definition }: Pick<RunRecord, "id" | "pipeline" | "definition">): Pipeline {
    const known = this.#options.pipelineOfId(pipeline);
    if (known === undefined) {
      throw new WeftlineError(
        "PIPELINE_UNKNOWN",
        `Cannot carry run ${id} over as this engine does not have pipeline "${pipeline}". Give it to createEngine({ pipelines }).`,
      );
    }
    if (known.hash !== definition) return known;
    throw new WeftlineError(
      "RUN_ACTIVE",
      `Cannot carry run ${id} over as it is a run of the version that this engine has. Resume it if it has failed.`,
    );
  }

  async #tasks(
    { id, definition }: Pick<RunRecord, "id" | "definition">,
    after: Pipeline,
    options: RemapOptions,
  ): Promise<ReturnType<typeof remapTasks>> {
    const { storage } = this.#options;
    const stored = await storage.getDefinition(definition);
    if (stored === undefined) {
      throw new WeftlineError(
        "DAG_CHANGED",
        `Cannot carry run ${id} over as storage does not have the version it was made with (${definition}). Start a new run.`,
      );
    }
    const recorded = new Set<string>();
    for await (const { task } of everyRecord((page) => storage.loadTasks([id], page))) recorded.add(task);
    const before = decode(stored.graph) as PipelineDescription;
    return remapTasks({ runId: id, before, after, recorded }, options);
  }
}

function isActive(runId: string): WeftlineError {
  return new WeftlineError(
    "RUN_ACTIVE",
    `Cannot carry run ${runId} over as an engine has it, which goes on with it under the version it was made with. Stop that engine first, or cancel the run.`,
  );
}

function notStarted(runId: string): WeftlineError {
  return new WeftlineError(
    "ENGINE_STOPPED",
    `Cannot carry run ${runId} over with an engine that does not run. Call engine.start() first.`,
  );
}
