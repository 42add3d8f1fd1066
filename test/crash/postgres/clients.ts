import { isDeepStrictEqual } from "node:util";
import { EXPECTED } from "../pipeline.js";
import type { StoredRun } from "../stored-runs.js";
import type { ClientLine } from "./world.js";

/** Calls of clients, each with its outcome: `unknown` where no line tells of one. */
export function callsOf(lines: readonly ClientLine[]): readonly ClientLine[] {
  const calls = new Map<string, ClientLine>();
  for (const line of lines) {
    const id = `${line.client} ${line.call}`;
    if (line.outcome !== undefined || !calls.has(id)) calls.set(id, line);
  }
  return [...calls.values()].map((call) => ({ ...call, outcome: call.outcome ?? "unknown" }));
}

/** What clients were told has to be so. @returns What is not, for people. */
export function brokenPromises(calls: readonly ClientLine[], runs: readonly StoredRun[]): readonly string[] {
  const byKey = groupByKey(runs);
  const byId = new Map(runs.map(({ run }) => [run.id, run]));
  const cancelled = new Set(calls.flatMap(({ operation, key }) => (operation === "cancel" ? [key] : [])));
  const problems: string[] = [];
  for (const { operation, key, outcome, runId, status, report, code } of calls) {
    const ids = byKey.get(key) ?? [];
    if (outcome === "fail" && !(code === "RUN_FINISHED" && (operation === "signal" || operation === "cancel"))) {
      problems.push(`${operation} of ${key} failed with ${code}`);
    }
    if (outcome === "ok" && runId !== ids[0]) {
      problems.push(`${operation} of ${key} was confirmed for run ${runId}, and stored is ${ids[0] ?? "none"}`);
    }
    if (operation !== "result" || outcome !== "ok") continue;
    const stored = byId.get(runId ?? "")?.status;
    if (status !== stored) problems.push(`a client was told that ${key} is ${status}, and stored is ${stored}`);
    if (status === "succeeded" && !isDeepStrictEqual(report, EXPECTED)) {
      problems.push(`the result of ${key} is ${JSON.stringify(report)} instead of ${JSON.stringify(EXPECTED)}`);
    }
    if (status === "cancelled" && !cancelled.has(key)) problems.push(`nobody cancelled ${key}, and it was cancelled`);
  }
  for (const [key, ids] of byKey) if (ids.length > 1) problems.push(`there are ${ids.length} runs of the key ${key}`);
  return [...problems, ...withoutResult(calls)];
}

function groupByKey(runs: readonly StoredRun[]): ReadonlyMap<string, readonly string[]> {
  const ids = new Map<string, string[]>();
  for (const { run } of runs) {
    if (run.key !== undefined) ids.set(run.key, [...(ids.get(run.key) ?? []), run.id]);
  }
  return ids;
}

/** Each run that somebody asked for has told some client how it ended. */
function withoutResult(calls: readonly ClientLine[]): readonly string[] {
  const told = new Set(
    calls.flatMap(({ operation, outcome, key }) => (operation === "result" && outcome === "ok" ? [key] : [])),
  );
  const asked = new Set(calls.map(({ key }) => key));
  return [...asked].filter((key) => !told.has(key)).map((key) => `no client was told how ${key} ended`);
}
