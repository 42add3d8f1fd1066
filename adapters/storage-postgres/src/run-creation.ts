import { type CreateResult, type HostTransaction, type NewRun, WeftlineError } from "weftline";
import type { Connections, Row } from "./connections.js";
import { createdRun, newRunRow, type RunRow, runOf } from "./rows.js";

/** What became of a request for a run that was not created. */
interface Answer {
  /** Counted from 1. */
  readonly place: number;
  readonly conflict: boolean;
  readonly run: RunRow;
}

const CREATE = "SELECT {schema}.create_runs_v1($1::text, $2::text::text[]) AS answers";

/** Creates runs by themselves, or with what else a host's transaction changes. */
export class RunCreation {
  readonly #connections: Connections;

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  async create(runs: readonly NewRun[]): Promise<readonly CreateResult[]> {
    const values = argumentsOf(runs);
    return resultsOf(runs, await this.#connections.query({ text: CREATE, values, isRepeatable: true }));
  }

  /** @throws {WeftlineError} `TRANSACTION_INVALID` when `tx` cannot run a statement. */
  async createIn(tx: HostTransaction, runs: readonly NewRun[]): Promise<readonly CreateResult[]> {
    if (typeof (tx as Partial<HostTransaction> | null)?.query !== "function")
      throw invalid("it has no function `query`");
    const result = (await tx.query(this.#connections.inSchema(CREATE), argumentsOf(runs))) as
      | { readonly rows?: readonly Row[] }
      | undefined;
    if (!Array.isArray(result?.rows) || result.rows.length !== 1) {
      throw invalid("its `query` did not give `{ rows }` with the one row of the answer");
    }
    return resultsOf(runs, result.rows as readonly Row[]);
  }
}

function argumentsOf(runs: readonly NewRun[]): readonly string[] {
  const owners = new Set(runs.map(({ owner }) => owner).filter((owner) => owner !== undefined));
  return [JSON.stringify(runs.map(newRunRow)), arrayText([...owners])];
}

/** A list as text, which every query builder passes on as it is. */
function arrayText(texts: readonly string[]): string {
  return `{${texts.map((text) => `"${text.replaceAll(/["\\]/g, "\\$&")}"`).join(",")}}`;
}

function resultsOf(runs: readonly NewRun[], [row]: readonly Row[]): readonly CreateResult[] {
  const results = runs.map((run): CreateResult => ({ kind: "created", run: createdRun(run) }));
  const text = row?.answers as string | null | undefined;
  for (const { place, conflict, run } of text ? (JSON.parse(text) as Answer[]) : []) {
    results[place - 1] = conflict ? { kind: "conflict", runId: run.id } : { kind: "existing", run: runOf(run) };
  }
  return results;
}

function invalid(why: string): WeftlineError {
  return new WeftlineError(
    "TRANSACTION_INVALID",
    `Cannot create runs in this transaction, as ${why}. Pass a client of "pg" that is in a transaction, or an object { query(sql, parameters), afterCommit? } that wraps your query builder's.`,
  );
}
