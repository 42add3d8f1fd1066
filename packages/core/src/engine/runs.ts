import type {
  ArtifactInfo,
  ArtifactQuery,
  ArtifactRecord,
  AttemptQuery,
  AttemptRecord,
  HistoryKind,
  HistoryKinds,
  LogQuery,
  MetricQuery,
  MetricRecord,
  Page,
  PageRequest,
  RunMessage,
  RunQuery,
  TaskQuery,
} from "../contracts/records.js";
import type { Storage } from "../contracts/storage.js";
import type { Pipeline } from "../define/pipeline.js";
import { WeftlineError } from "../errors.js";
import { cursorInvalid, runUnknown } from "./errors.js";
import type { Ownership } from "./ownership.js";
import { pendingRecords } from "./pending-records.js";
import type { RunHandle } from "./run-handle.js";
import { boundReason } from "./task-records.js";
import { type LogInfo, logInfo, type RunInfo, runInfo, type TaskInfo, taskInfo } from "./views.js";

export interface PageOptions {
  /** 1 to 1,000. Default: 100. */
  readonly limit?: number;
  /** The `next` of the page before. */
  readonly cursor?: string;
}

export interface CancelOptions {
  /** Cancel this task alone; tasks that need it become `upstream-failed`. */
  readonly task?: string;
  /** Kept in history and shown to people. */
  readonly reason?: string;
}

type OfRun<Query> = Omit<Query, "runId">;

/** What the runs API needs of its engine. */
export interface RunsHost {
  readonly storage: Storage;
  readonly ownership: Ownership;
  readonly newId: () => string;
  readonly now: () => number;
  /** Opens storage, or says why not. */
  ready(): Promise<void>;
  pipelineOf(definition: string): Pipeline | undefined;
  handle(runId: string, pipeline: Pipeline): RunHandle;
}

/** The history of runs, and what an operator does to them. Works the same for runs of other engines on the same storage. */
export class Runs {
  readonly #host: RunsHost;

  constructor(host: RunsHost) {
    this.#host = host;
  }

  /** @throws {WeftlineError} `RUN_UNKNOWN`. */
  async get(runId: string): Promise<RunInfo> {
    await this.#host.ready();
    const record = await this.#host.storage.getRun(runId);
    if (record === undefined) throw runUnknown(runId);
    return runInfo(record);
  }

  /** Runs, newest first. */
  async list(query: RunQuery = {}, page: PageOptions = {}): Promise<Page<RunInfo>> {
    return mapPage(await this.#list("runs", query, page), runInfo);
  }

  /**
   * The tasks of a run and the items of its maps: first those something happened to, in the order of the definition,
   * then those that still wait.
   */
  async tasks(runId: string, query: OfRun<TaskQuery> = {}, page: PageOptions = {}): Promise<Page<TaskInfo>> {
    const run = await this.get(runId);
    const request = pageRequest(page);
    const pipeline = this.#host.pipelineOf(run.definition);
    const pending = await pendingRecords(this.#host.storage, run.id, pipeline, query, request);
    return mapPage(pending ?? (await this.#list("tasks", { ...query, runId }, page)), taskInfo);
  }

  async attempts(runId: string, query: OfRun<AttemptQuery> = {}, page: PageOptions = {}): Promise<Page<AttemptRecord>> {
    return this.#listOfRun("attempts", runId, query, page);
  }

  async logs(runId: string, query: OfRun<LogQuery> = {}, page: PageOptions = {}): Promise<Page<LogInfo>> {
    return mapPage(await this.#listOfRun("logs", runId, query, page), logInfo);
  }

  async metrics(runId: string, query: OfRun<MetricQuery> = {}, page: PageOptions = {}): Promise<Page<MetricRecord>> {
    return this.#listOfRun("metrics", runId, query, page);
  }

  /** The files of a run, without their bytes. */
  async artifacts(
    runId: string,
    query: OfRun<ArtifactQuery> = {},
    page: PageOptions = {},
  ): Promise<Page<ArtifactInfo>> {
    return this.#listOfRun("artifacts", runId, query, page);
  }

  /** The newest file of this name, with its bytes; `undefined`: the run made none. */
  async artifact(runId: string, name: string): Promise<ArtifactRecord | undefined> {
    await this.get(runId);
    return this.#host.storage.getArtifact(runId, name);
  }

  /**
   * Ends a run, or one task of it. What runs is told to stop through its signal; what waits never starts.
   *
   * @returns False when the run had already ended.
   * @throws {WeftlineError} `RUN_UNKNOWN`, `TASK_UNKNOWN`.
   */
  async cancel(runId: string, { task, reason }: CancelOptions = {}): Promise<boolean> {
    const run = await this.get(runId);
    const pipeline = this.#host.pipelineOf(run.definition);
    if (task !== undefined && pipeline && !pipeline.plan.positions.has(task)) {
      throw new WeftlineError(
        "TASK_UNKNOWN",
        `Cannot cancel task "${task}" as pipeline "${run.pipeline}" has no such task. It has ${pipeline.taskIds.slice(0, 20).join(", ")}.`,
      );
    }
    const result = await this.#send({ ...this.#envelope(runId), kind: "cancel", task, reason: boundReason(reason) });
    await this.#host.ownership.deliver();
    return result === undefined;
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
    const pipeline = this.#host.pipelineOf(run.definition);
    if (pipeline === undefined) {
      throw new WeftlineError(
        "DAG_CHANGED",
        `Cannot resume run ${runId} here as it was made with another version of pipeline "${run.pipeline}" (${run.definition}). Resume it on an engine that has that version, or start a new run.`,
      );
    }
    const refused = await this.#send({ ...this.#envelope(runId), kind: "resume" });
    if (refused === "RUN_ACTIVE")
      throw new WeftlineError(
        "RUN_ACTIVE",
        `Cannot resume run ${runId} as it has not ended: its status is ${run.status}. Wait for it, or cancel it first.`,
      );
    if (refused === "RUN_FINISHED")
      throw new WeftlineError(
        "RUN_FINISHED",
        `Cannot resume run ${runId} as it succeeded. Start a new run to do the work again.`,
      );
    await this.#host.ownership.claim();
    return this.#host.handle(runId, pipeline);
  }

  async #send(message: RunMessage): Promise<string | undefined> {
    const [result] = await this.#host.storage.send([message]);
    if (result?.kind !== "refused") return undefined;
    if (result.code === "RUN_UNKNOWN") throw runUnknown(message.runId);
    return result.code;
  }

  #envelope(runId: string): Pick<RunMessage, "id" | "runId" | "sentAt"> {
    return { id: this.#host.newId(), runId, sentAt: this.#host.now() };
  }

  async #listOfRun<Kind extends Exclude<HistoryKind, "runs">>(
    kind: Kind,
    runId: string,
    query: OfRun<HistoryKinds[Kind]["query"]>,
    page: PageOptions,
  ): Promise<Page<HistoryKinds[Kind]["record"]>> {
    await this.get(runId);
    return this.#list(kind, { ...query, runId } as HistoryKinds[Kind]["query"], page);
  }

  async #list<Kind extends HistoryKind>(
    kind: Kind,
    query: HistoryKinds[Kind]["query"],
    page: PageOptions,
  ): Promise<Page<HistoryKinds[Kind]["record"]>> {
    const request = pageRequest(page);
    await this.#host.ready();
    return this.#host.storage.list(kind, query, request);
  }
}

const DEFAULT_PAGE = 100;
const MAX_PAGE = 1_000;

function pageRequest({ limit = DEFAULT_PAGE, cursor }: PageOptions): PageRequest {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw new WeftlineError(
      "QUERY_INVALID",
      `Cannot list ${String(limit)} records at once. Give a limit from 1 to ${MAX_PAGE}, and follow \`next\`.`,
    );
  }
  if (cursor === undefined) return { limit };
  if (typeof cursor !== "string") throw cursorInvalid(cursor);
  return { limit, cursor };
}

function mapPage<From, To>(page: Page<From>, convert: (record: From) => To): Page<To> {
  return { items: page.items.map(convert), next: page.next };
}
