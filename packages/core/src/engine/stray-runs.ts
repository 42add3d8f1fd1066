import type { RunRecord, TaskRecord } from "../contracts/records.js";
import type { RemapRequest, Storage } from "../contracts/storage.js";
import type { PipelineDescription } from "../define/description.js";
import type { Pipeline } from "../define/pipeline.js";
import { WeftlineError } from "../errors.js";
import { decode } from "../values/codec.js";
import { toErrorRecord } from "../values/error-record.js";
import * as abortReasons from "./abort-reasons.js";
import { type Cancellation, cancelledTasks, type StoredTasks, storedTasks } from "./cancelled-tasks.js";
import { EndedRun } from "./ended-run.js";
import type { EngineCore } from "./engine-core.js";
import type { Ownership } from "./ownership.js";
import { everyRecord } from "./paging.js";
import { type RemapOptions, remapTasks } from "./remap.js";
import { isDefinite } from "./storage-errors.js";

export interface StrayRunsOptions {
  readonly core: EngineCore;
  readonly storage: Storage;
  readonly ownership: Ownership;
  /** Nothing is claimed by an engine that has not been started. */
  readonly isRunning: () => boolean;
  readonly pipelineOf: (definition: string) => Pipeline | undefined;
  readonly pipelineOfId: (id: string) => Pipeline | undefined;
}

/** Between tries that storage did not answer, each twice the one before, in milliseconds. */
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
    const run = await this.#options.storage.getRun(runId);
    if (run === undefined || !(await this.#isStray(run))) return;
    await this.#claimFor(runId, (claimed) => this.#cancel(claimed, reason));
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
    const pipeline = this.#target(run);
    const tasks = await this.#tasks(run, pipeline, options); // before anything is changed
    if (this.#inHand.has(run.id)) throw isActive(run.id);
    await resume();
    const isOurs = await this.#claimFor(run.id, async (claimed, term) => {
      // Somebody else may have moved it since.
      const isAsItWas = claimed.definition === run.definition || claimed.definition === pipeline.hash;
      const moves = isAsItWas ? tasks : await this.#tasks(claimed, pipeline, options);
      await this.#move(claimed, term, pipeline, moves);
    });
    if (!isOurs) throw isActive(run.id);
    return pipeline;
  }

  /** Whether nobody who lives has the version of the run, or it is left to us from an earlier try. */
  async #isStray({ id, definition, owner }: RunRecord): Promise<boolean> {
    const { core, storage, ownership, pipelineOf, isRunning } = this.#options;
    if (!isRunning() || pipelineOf(definition) !== undefined) return false;
    if (owner !== undefined) return owner === core.engineId && !ownership.has(id);
    const { unadoptable } = await storage.survey({ now: core.clock.now() });
    return unadoptable.some((stray) => stray.definition === definition);
  }

  /**
   * Claims a run and does something with it: one command at a time. Once storage was asked for the run it may be ours
   * whatever it answers, and nobody else could go on with it. So a command that storage fails is told of that, and
   * still done as soon as storage answers.
   *
   * @returns False when the run is in somebody else's hands, or has ended.
   */
  async #claimFor(runId: string, command: (claimed: RunRecord, term: number) => Promise<void>): Promise<boolean> {
    if (this.#inHand.has(runId)) return false;
    const { ownership } = this.#options;
    const attempt = async (): Promise<boolean> => {
      const { term } = ownership;
      const claimed = await ownership.claimOne(runId);
      if (claimed !== undefined) await command(claimed, term);
      return claimed !== undefined;
    };
    this.#inHand.add(runId);
    try {
      const isOurs = await this.#patiently(attempt);
      this.#inHand.delete(runId);
      return isOurs;
    } catch (error) {
      if (isDefinite(error)) this.#inHand.delete(runId);
      else this.#later(runId, attempt);
      throw error;
    }
  }

  async #patiently<Result>(attempt: () => Promise<Result>): Promise<Result> {
    const { clock } = this.#options.core;
    for (let delay = FIRST_PAUSE_MS; ; delay *= 2) {
      try {
        return await attempt();
      } catch (error) {
        if (delay > LAST_PAUSE_MS || isDefinite(error)) throw error;
        await new Promise<void>((goOn) => void clock.timer(clock.now() + delay, goOn));
      }
    }
  }

  #later(runId: string, attempt: () => Promise<boolean>): void {
    const { core, ownership } = this.#options;
    core.log.warn({ runId }, "storage did not answer while a run of another version was in hand; trying again");
    ownership.later(() => {
      attempt().then(
        () => this.#inHand.delete(runId),
        (error: unknown) => (isDefinite(error) ? this.#inHand.delete(runId) : this.#later(runId, attempt)),
      );
    });
  }

  async #cancel(run: RunRecord, reason: string | undefined): Promise<void> {
    const { core, storage } = this.#options;
    const error = toErrorRecord(abortReasons.runCancelled(reason));
    const stored = await storedTasks(storage, run);
    const finishedAt = core.clock.now();
    const tasks = this.#cancelledTasks(run.id, stored, { at: finishedAt, reason: error.message });
    const ended = new EndedRun(run, { status: "cancelled", error, finishedAt, tasks });
    core.journal.mark(ended);
    if (!(await ended.isWritten)) return;
    for (const { wait } of tasks) {
      if (wait?.kind === "run") core.children.cancel(wait.runId, run.id, error.message);
    }
  }

  /** Records that cannot be read must not keep anybody from ending the run. */
  #cancelledTasks(runId: string, stored: StoredTasks, cancellation: Cancellation): readonly TaskRecord[] {
    try {
      return cancelledTasks(runId, stored, cancellation);
    } catch (error) {
      this.#options.core.log.warn(
        { runId, error },
        "the tasks of a cancelled run could not be read: they stay as they are",
      );
      return [];
    }
  }

  async #move(run: RunRecord, term: number, pipeline: Pipeline, tasks: RemapRequest["tasks"]): Promise<void> {
    const { core, storage, ownership } = this.#options;
    const { id: runId, epoch } = run;
    const request = { engineId: core.engineId, runId, epoch, definition: pipeline.hash, tasks };
    if ((await storage.remapRun(request)) === "fenced") throw isActive(runId);
    ownership.adopt({ ...run, definition: pipeline.hash }, term);
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
