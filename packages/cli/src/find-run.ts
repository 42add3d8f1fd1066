import type { Engine, RunInfo } from "weftline";
import { closest } from "./closest.js";
import { UsageError } from "./errors.js";
import { allPages } from "./pages.js";
import { moment } from "./text.js";

const MIN_PART = 4;
/** From this length on it may well be a whole id. */
const MIN_ID = 16;
const MAX_LISTED = 5;

/**
 * The run that somebody means: by its id, by a beginning or an end of it that no other run has, or as `last`, the newest
 * that no task of another run started.
 *
 * @throws {UsageError} that names those it could have been.
 */
export async function findRun({ runs }: Pick<Engine, "runs">, given: string): Promise<RunInfo> {
  const exact = given.length >= MIN_ID ? await runOf(runs, given) : undefined;
  if (exact !== undefined) return exact;
  const newest: RunInfo[] = [];
  const ids: string[] = [];
  const matches: RunInfo[] = [];
  for await (const run of allPages((page) => runs.list({}, page))) {
    if (given === "last" && run.parent === undefined) return run;
    if (newest.length < MAX_LISTED) newest.push(run);
    ids.push(run.id);
    if (given.length >= MIN_PART && (run.id.startsWith(given) || run.id.endsWith(given))) matches.push(run);
  }
  if (ids.length === 0) throw new UsageError("RUN_UNKNOWN: there are no runs in this storage yet.");
  if (matches.length === 1) return matches[0]!;
  if (matches.length > 1) throw ambiguous(given, matches);
  const meant = closest(given, ids);
  const hint = meant === undefined ? "" : ` Did you mean ${meant}?`;
  const short = given.length < MIN_PART ? ` Give at least ${MIN_PART} characters of its id.` : "";
  throw new UsageError(
    `RUN_UNKNOWN: there is no run "${given}" in this storage.${hint}${short} The newest are:\n${listed(newest)}`,
  );
}

async function runOf(runs: Engine["runs"], id: string): Promise<RunInfo | undefined> {
  try {
    return await runs.get(id);
  } catch (thrown) {
    if ((thrown as { code?: unknown }).code === "RUN_UNKNOWN") return undefined;
    throw thrown;
  }
}

function ambiguous(given: string, matches: readonly RunInfo[]): UsageError {
  const more = matches.length > MAX_LISTED ? `\n  … and ${matches.length - MAX_LISTED} more` : "";
  return new UsageError(
    `Cannot tell which run "${given}" is, as ${matches.length} have it in their ids. Give more of it, or its end:\n${listed(matches.slice(0, MAX_LISTED))}${more}`,
  );
}

function listed(runs: readonly RunInfo[]): string {
  return runs
    .map(({ id, pipeline, status, createdAt }) => `  ${id}  ${pipeline}  ${status}  ${moment(createdAt)}`)
    .join("\n");
}
