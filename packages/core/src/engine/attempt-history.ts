import type { ArtifactData } from "../contracts/executor.js";
import type { ArtifactRecord, LogLevel, LogRecord, MetricRecord } from "../contracts/records.js";
import { checkArtifact } from "../execute/check-artifact.js";
import { logData } from "../execute/log-data.js";
import type { ValueLimits } from "../values/codec.js";
import { boundText } from "../values/text.js";

/** Which attempt a line of history comes from, and when. */
export type Origin = Pick<LogRecord, "runId" | "task" | "index" | "generation" | "attempt" | "at">;

/** What one attempt may log; the line after the last one says that more was dropped. */
export const MAX_LOG_LINES = 10_000;
const MAX_MESSAGE_LENGTH = 16_384;
const MAX_NAME_LENGTH = 200;

/** @param line - The line's number within its attempt, from 1. @returns `undefined` when it is one too many. */
export function logRecord(
  origin: Origin,
  line: number,
  level: LogLevel,
  message: unknown,
  data: unknown,
  limits: ValueLimits,
): LogRecord | undefined {
  if (line > MAX_LOG_LINES + 1) return undefined;
  if (line === MAX_LOG_LINES + 1) {
    return {
      ...origin,
      level: "warn",
      message: `more than ${MAX_LOG_LINES} lines: the rest was dropped`,
      data: undefined,
    };
  }
  return { ...origin, level, message: boundText(String(message), MAX_MESSAGE_LENGTH), data: logData(data, limits) };
}

export function metricRecord(origin: Origin, name: string, value: number): MetricRecord {
  return { ...origin, name: boundText(name, MAX_NAME_LENGTH), value };
}

/** @throws {WeftlineError} `ARTIFACT_INVALID`. */
export function artifactRecord(origin: Origin, artifact: ArtifactData, limits: ValueLimits): ArtifactRecord {
  const { name, data } = artifact;
  checkArtifact(artifact, limits);
  const bytes =
    typeof data === "string" ? Buffer.from(data) : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const contentType =
    artifact.contentType ?? (typeof data === "string" ? "text/plain; charset=utf-8" : "application/octet-stream");
  return {
    ...origin,
    name: boundText(name, MAX_NAME_LENGTH),
    contentType: boundText(contentType, MAX_NAME_LENGTH),
    size: bytes.length,
    data: bytes,
  };
}
