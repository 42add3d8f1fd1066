import { isRunFinished, type RunMessage, type RunStatus } from "../../contracts/records.js";
import type { ErrorCode } from "../../errors.js";

/** Why a run in this status cannot be told that. */
export function refusalOf({ kind }: RunMessage, status: RunStatus): ErrorCode | undefined {
  const isFinished = isRunFinished(status);
  if (kind === "rerun") return isFinished ? undefined : "RUN_ACTIVE";
  if (kind !== "resume") return isFinished ? "RUN_FINISHED" : undefined;
  if (!isFinished) return "RUN_ACTIVE";
  return status === "succeeded" ? "RUN_FINISHED" : undefined;
}

export function isWholeCancel(message: RunMessage): boolean {
  return message.kind === "cancel" && message.task === undefined;
}
