import type {
  ArtifactInfo,
  ArtifactQuery,
  ArtifactRecord,
  AssetQuery,
  AssetRecord,
  AttemptQuery,
  AttemptRecord,
  HistoryKind,
  HistoryKinds,
  LogQuery,
  MetricQuery,
  MetricRecord,
  Page,
  PageRequest,
  RunQuery,
  StepQuery,
  TaskQuery,
} from "../contracts/records.js";
import type { Storage } from "../contracts/storage.js";
import { describePipeline, type PipelineDescription } from "../define/description.js";
import type { Pipeline } from "../define/pipeline.js";
import { show } from "../define/show.js";
import { WeftlineError } from "../errors.js";
import { decode } from "../values/codec.js";
import { checkedOptions, checkedQuery, checkValue } from "./check-query.js";
import { withoutCutOff } from "./cut-off-attempts.js";
import { cursorInvalid, runUnknown } from "./errors.js";
import { pendingRecords } from "./pending-records.js";
import { diffText } from "./remap.js";
import {
  type LogInfo,
  logInfo,
  type RunInfo,
  runInfo,
  type StepInfo,
  stepInfo,
  type TaskInfo,
  taskInfo,
} from "./views.js";

export interface PageOptions {
  /** 1 to 1,000. Default: 100. */
  readonly limit?: number;
  /** The `next` of the page before. */
  readonly cursor?: string;
}

type OfRun<Query> = Omit<Query, "runId">;

/** What reading history needs of the engine. */
export interface HistoryHost {
  readonly storage: Storage;
  /** Opens storage, or says why not. */
  ready(): Promise<void>;
  pipelineOf(definition: string): Pipeline | undefined;
  pipelineOfId(id: string): Pipeline | undefined;
}

/** The history of runs, of this engine and of others on the same storage. */
export class RunHistory<Host extends HistoryHost = HistoryHost> {
  protected readonly host: Host;

  constructor(host: Host) {
    this.host = host;
  }

  /** @throws {WeftlineError} `RUN_UNKNOWN`. */
  async get(runId: string): Promise<RunInfo> {
    if (typeof runId !== "string") throw runUnknown(runId);
    await this.host.ready();
    const record = await this.host.storage.getRun(runId);
    if (record === undefined) throw runUnknown(runId);
    return runInfo(record);
  }

  /** Runs, newest first. */
  async list(query: RunQuery = {}, page: PageOptions = {}): Promise<Page<RunInfo>> {
    return mapPage(await this.#list("runs", checkedQuery(query), page), runInfo);
  }

  /**
   * The tasks of a run and the items of its maps: first those something happened to, in the order of the definition,
   * then those that still wait.
   */
  async tasks(runId: string, query: OfRun<TaskQuery> = {}, page: PageOptions = {}): Promise<Page<TaskInfo>> {
    const run = await this.get(runId);
    checkedQuery(query);
    const request = pageRequest(page);
    const pipeline = this.host.pipelineOf(run.definition);
    const pending = await pendingRecords(this.host.storage, run.id, pipeline, query, request);
    return mapPage(pending ?? (await this.#list("tasks", { ...query, runId }, page)), taskInfo);
  }

  /** Each try at each task. Those whose engine was lost in the middle are `abandoned`, with `LEASE_LOST`. */
  async attempts(runId: string, query: OfRun<AttemptQuery> = {}, page: PageOptions = {}): Promise<Page<AttemptRecord>> {
    const listed = await this.#listOfRun("attempts", runId, query, page);
    return withoutCutOff(this.host.storage, { ...query, runId }, listed);
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
    checkValue("name", name, "text");
    return this.host.storage.getArtifact(runId, name);
  }

  /** The graph the run ran with, as it was then. @throws {WeftlineError} `RUN_UNKNOWN`. */
  async graph(runId: string): Promise<PipelineDescription> {
    const run = await this.get(runId);
    const definition = await this.host.storage.getDefinition(run.definition);
    if (definition !== undefined) return decode(definition.graph) as PipelineDescription;
    return describePipeline(await this.pipelineOf(run, "read the graph of"));
  }

  /** The steps that tasks of a run have done. */
  async steps(runId: string, query: OfRun<StepQuery> = {}, page: PageOptions = {}): Promise<Page<StepInfo>> {
    return mapPage(await this.#listOfRun("steps", runId, query, page), stepInfo);
  }

  /** What tasks of a run declared to produce, where they succeeded. */
  async assets(runId: string, query: OfRun<AssetQuery> = {}, page: PageOptions = {}): Promise<Page<AssetRecord>> {
    return this.#listOfRun("assets", runId, query, page);
  }

  /** @throws {WeftlineError} `DAG_CHANGED` with the difference and the ways out. */
  protected async pipelineOf(run: Pick<RunInfo, "id" | "definition" | "pipeline">, what: string): Promise<Pipeline> {
    const pipeline = this.host.pipelineOf(run.definition);
    if (pipeline !== undefined) return pipeline;
    throw await this.#dagChanged(run, what);
  }

  async #dagChanged(
    { id, definition, pipeline }: Pick<RunInfo, "id" | "definition" | "pipeline">,
    what: string,
  ): Promise<WeftlineError> {
    const stored = await this.host.storage.getDefinition(definition);
    const now = this.host.pipelineOfId(pipeline);
    const differs =
      stored === undefined || now === undefined
        ? ""
        : `\n${diffText(decode(stored.graph) as PipelineDescription, now)}`;
    return new WeftlineError(
      "DAG_CHANGED",
      `Cannot ${what} run ${id} here as it was made with another version of pipeline "${pipeline}" (${definition}). Do it on an engine that has that version; or carry the run over to the version here with runs.remap("${id}", { tasks }); or end it with runs.cancel("${id}").${differs}`,
    );
  }

  async #listOfRun<Kind extends Exclude<HistoryKind, "runs">>(
    kind: Kind,
    runId: string,
    query: OfRun<HistoryKinds[Kind]["query"]>,
    page: PageOptions,
  ): Promise<Page<HistoryKinds[Kind]["record"]>> {
    await this.get(runId);
    return this.#list(kind, { ...checkedQuery(query), runId } as HistoryKinds[Kind]["query"], page);
  }

  async #list<Kind extends HistoryKind>(
    kind: Kind,
    query: HistoryKinds[Kind]["query"],
    page: PageOptions,
  ): Promise<Page<HistoryKinds[Kind]["record"]>> {
    const request = pageRequest(page);
    await this.host.ready();
    return this.host.storage.list(kind, query, request);
  }
}

const DEFAULT_PAGE = 100;
const MAX_PAGE = 1_000;

function pageRequest(page: PageOptions): PageRequest {
  const { limit = DEFAULT_PAGE, cursor } = checkedOptions(page);
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw new WeftlineError(
      "QUERY_INVALID",
      `Cannot list ${show(limit)} records at once. Give a limit from 1 to ${MAX_PAGE}, and follow \`next\`.`,
    );
  }
  if (cursor === undefined) return { limit };
  if (typeof cursor !== "string") throw cursorInvalid(cursor);
  return { limit, cursor };
}

function mapPage<From, To>(page: Page<From>, convert: (record: From) => To): Page<To> {
  return { items: page.items.map(convert), next: page.next };
}
