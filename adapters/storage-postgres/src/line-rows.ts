import type {
  ArtifactInfo,
  ArtifactRecord,
  AssetRecord,
  LogLevel,
  LogRecord,
  MetricRecord,
  StepRecord,
} from "weftline";
import { indexOf } from "./paths.js";

/** What all lines have in common. */
interface LineRow {
  readonly task: string;
  readonly path: string;
  readonly generation: number;
  readonly attempt: number;
  readonly at: number;
}

function lineOf(runId: string, row: LineRow) {
  const { task, path, generation, attempt, at } = row;
  return { runId, task, index: indexOf(path), generation, attempt, at };
}

export interface LogRow extends LineRow {
  readonly level: string;
  readonly message: string;
  readonly data: string | null;
}

export function logOf(runId: string, row: LogRow): LogRecord {
  return { ...lineOf(runId, row), level: row.level as LogLevel, message: row.message, data: row.data ?? undefined };
}

export interface MetricRow extends LineRow {
  readonly name: string;
  readonly value: number;
}

export function metricOf(runId: string, row: MetricRow): MetricRecord {
  return { ...lineOf(runId, row), name: row.name, value: row.value };
}

export interface ArtifactRow extends LineRow {
  readonly name: string;
  readonly content_type: string;
  readonly size: number;
}

export function artifactInfoOf(runId: string, row: ArtifactRow): ArtifactInfo {
  return { ...lineOf(runId, row), name: row.name, contentType: row.content_type, size: row.size };
}

export function artifactOf(runId: string, row: ArtifactRow & { readonly data: Uint8Array }): ArtifactRecord {
  return { ...artifactInfoOf(runId, row), data: row.data };
}

export interface StepRow extends LineRow {
  readonly step: string;
  readonly started_at: number;
  readonly output: string;
}

export function stepOf(runId: string, row: StepRow): StepRecord {
  return { ...lineOf(runId, row), step: row.step, startedAt: row.started_at, output: row.output };
}

export interface AssetRow extends LineRow {
  readonly asset: string;
}

export function assetOf(runId: string, row: AssetRow): AssetRecord {
  return { ...lineOf(runId, row), asset: row.asset };
}
