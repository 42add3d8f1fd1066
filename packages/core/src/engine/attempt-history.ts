import type { ArtifactData } from "../contracts/executor.js";
import type { ArtifactRecord, LogLevel, LogRecord, MetricRecord } from "../contracts/records.js";
import { WeftlineError } from "../errors.js";
import { asText } from "../execute/as-text.js";
import { type Encoded, encode, type ValueLimits } from "../values/codec.js";
import { toErrorRecord } from "../values/error-record.js";
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

/** Logging never fails a task: data that cannot be kept is replaced by the reason. */
function logData(data: unknown, limits: ValueLimits): Encoded | undefined {
  if (data === undefined) return undefined;
  try {
    return encode(data, "output", limits);
  } catch (error) {
    return encode({ notKept: toErrorRecord(error).message }, "output");
  }
}

export function metricRecord(origin: Origin, name: string, value: number): MetricRecord {
  return { ...origin, name: boundText(name, MAX_NAME_LENGTH), value };
}

/** @throws {WeftlineError} `ARTIFACT_INVALID` for data that is neither text nor bytes, too large, or without a name. */
export function artifactRecord(origin: Origin, artifact: ArtifactData, limits: ValueLimits): ArtifactRecord {
  const { name, data } = artifact;
  const refuse = (problem: string): WeftlineError =>
    new WeftlineError("ARTIFACT_INVALID", `Cannot keep artifact "${asText(name)}": ${problem}.`);
  if (typeof name !== "string" || name === "" || name.length > MAX_NAME_LENGTH) {
    throw refuse(`its name has to be a text of 1 to ${MAX_NAME_LENGTH} characters. Give it one`);
  }
  if (typeof data !== "string" && !(data instanceof Uint8Array))
    throw refuse("its data is neither text nor a Uint8Array. Convert it");
  const bytes = Buffer.from(data); // a copy: what the task changes afterwards belongs to nobody
  if (bytes.length > limits.maxBytes) {
    throw refuse(
      `it has ${bytes.length} bytes and ${limits.maxBytes} are allowed. Store it elsewhere, or raise limits.maxValueBytes`,
    );
  }
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
