import { type CommitOutcome, type Flush, findRejected, type RejectedValue } from "weftline";
import type { Connections, Row, Statement } from "./connections.js";
import { ALREADY_THERE, codeOf, isRefusal, ROW_TWICE } from "./errors.js";
import { FlushColumns } from "./flush-columns.js";
import { isLarge, partsOf, refusedTexts, withoutRepeats } from "./flush-parts.js";
import { WrittenTasks } from "./written-tasks.js";

const ARGUMENTS = 93;
/** So many confirmed flushes are forgotten at once. */
const FORGET_AT = 64;

/** Writes flushes: each is one call of one function, and so one round trip. */
export class Flushes {
  readonly written = new WrittenTasks();
  readonly #connections: Connections;
  readonly #text: string;
  /** By engine: how many flushes were confirmed and are not forgotten yet, and the number of the last. */
  readonly #confirmed = new Map<string, { readonly count: number; readonly last: number }>();

  constructor(connections: Connections) {
    this.#connections = connections;
    const places = Array.from({ length: ARGUMENTS }, (_, place) => `$${place + 1}`);
    this.#text = `SELECT {schema}.commit_v1(${places.join(", ")}) AS fenced`;
  }

  async commit(flush: Flush): Promise<CommitOutcome> {
    try {
      return await this.#write(flush);
    } catch (error) {
      return this.#writeAgain(flush, error);
    }
  }

  /** With nothing taken for granted, where that was what the database did not like. */
  async #writeAgain(flush: Flush, cause: unknown): Promise<CommitOutcome> {
    const code = codeOf(cause);
    if (code !== ROW_TWICE && code !== ALREADY_THERE) return this.#failed(flush, cause);
    for (const { runId } of flush.runs) this.written.forget(runId);
    try {
      return await this.#write(withoutRepeats(flush));
    } catch (error) {
      return this.#failed(flush, error);
    }
  }

  /** The engine is gone, and sends nothing again. */
  forget(engineId: string): void {
    this.#confirmed.delete(engineId);
  }

  async #write(flush: Flush): Promise<CommitOutcome> {
    const { count, last } = this.#confirmed.get(flush.engineId) ?? { count: 0, last: 0 };
    const isForgetting = count >= FORGET_AT;
    const forget = isForgetting ? last - 1 : undefined;
    const [row] = isLarge(flush)
      ? await this.#writeInParts(flush)
      : await this.#connections.call(this.#statement(flush, forget), "commits");
    this.#confirmed.set(flush.engineId, { count: isForgetting ? 2 : count + 1, last: flush.number });
    const outcome = outcomeOf(row!);
    this.written.confirmed(flush, outcome.fenced);
    return outcome;
  }

  #statement(flush: Flush, forget?: number, isGoingOn = false): Statement {
    return { text: this.#text, values: new FlushColumns(flush, this.written.mayBeThere).values(forget, isGoingOn) };
  }

  /** In one transaction: what is too much for one statement is still written as a whole. */
  #writeInParts(flush: Flush): Promise<readonly Row[]> {
    return this.#connections.transaction("commits", async (run) => {
      const [first, ...others] = partsOf(flush);
      const answer = await run(this.#statement(first!));
      if (isKnown(answer[0]!)) return answer;
      for (const part of others) await run(this.#statement(part, undefined, true));
      return answer;
    });
  }

  async #failed(flush: Flush, cause: unknown): Promise<CommitOutcome> {
    if (!isRefusal(cause)) return { kind: "unknown", cause };
    const values = await this.#findRefused(flush).catch((): readonly RejectedValue[] => []);
    return values.length > 0 ? { kind: "rejected", values } : { kind: "unknown", cause };
  }

  async #findRefused(flush: Flush): Promise<readonly RejectedValue[]> {
    for (const { runId } of flush.runs) this.written.forget(runId);
    const found = refusedTexts(flush);
    return found.length > 0 ? found : findRejected(withoutRepeats(flush), (part) => this.#refusalOf(part));
  }

  async #refusalOf(part: Flush): Promise<string | undefined> {
    try {
      await this.#connections.transaction("commits", (run) => run(this.#statement(part)), true);
      return undefined;
    } catch (error) {
      if (isRefusal(error)) return (error as Error).message;
      throw error;
    }
  }
}

/** The flush was written before, and that was the answer. */
function isKnown({ fenced }: Row): boolean {
  return (fenced as (string | null)[])[0] === null;
}

function outcomeOf({ fenced }: Row): CommitOutcome & { readonly kind: "ok" } {
  return { kind: "ok", fenced: (fenced as (string | null)[]).filter((id) => id !== null) };
}
