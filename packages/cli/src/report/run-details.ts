import type {
  ArtifactInfo,
  AssetRecord,
  AttemptRecord,
  Engine,
  PipelineDescription,
  RunInfo,
  StepInfo,
  TaskInfo,
} from "weftline";
import { jsonLine, withoutStack } from "../json.js";
import { listAll } from "../pages.js";
import { type MetricReport, readMetrics } from "./run-report.js";

/** Everything that storage has about a run, but for its logs. */
export interface RunDetails {
  readonly run: RunInfo;
  /** The generation that was asked for; `undefined`: the current one of each task. */
  readonly generation: number | undefined;
  readonly graph: PipelineDescription;
  readonly tasks: readonly TaskInfo[];
  readonly attempts: readonly AttemptRecord[];
  readonly steps: readonly StepInfo[];
  readonly metrics: readonly MetricReport[];
  readonly artifacts: readonly ArtifactInfo[];
  readonly assets: readonly AssetRecord[];
  /** Runs that its tasks started. */
  readonly children: readonly RunInfo[];
}

export async function readDetails(engine: Engine, run: RunInfo, generation: number | undefined): Promise<RunDetails> {
  const { runs } = engine;
  const { id } = run;
  const query = generation === undefined ? {} : { generation };
  const isMeant = (record: { readonly generation: number }) =>
    generation === undefined || record.generation === generation;
  return {
    run,
    generation,
    graph: await runs.graph(id),
    tasks: await listAll((page) => runs.tasks(id, query, page)),
    attempts: await listAll((page) => runs.attempts(id, query, page)),
    steps: await listAll((page) => runs.steps(id, query, page)),
    metrics: await readMetrics(engine, id, generation),
    artifacts: (await listAll((page) => runs.artifacts(id, {}, page))).filter(isMeant),
    assets: (await listAll((page) => runs.assets(id, {}, page))).filter(isMeant),
    children: await listAll((page) => runs.list({ parent: id }, page)),
  };
}

/** The same for programs, in one line. */
export function detailsJson(details: RunDetails, showStack: boolean): string {
  const shown = <Record extends Pick<TaskInfo, "error">>(record: Record): Record =>
    showStack || record.error === undefined ? record : { ...record, error: withoutStack(record.error) };
  const { run, tasks, attempts, children, ...rest } = details;
  return jsonLine({
    run: shown(run),
    tasks: tasks.map(shown),
    attempts: attempts.map(shown),
    ...rest,
    children: children.map(shown),
  });
}
