import type { NewRun, ParentTask, RunMessage, RunRecord } from "../contracts/records.js";
import type { Storage } from "../contracts/storage.js";
import type { Pipeline } from "../define/pipeline.js";
import { WeftlineError } from "../errors.js";
import type { Logger } from "../logger.js";
import type { Encoded } from "../values/codec.js";
import { decode } from "../values/codec.js";
import { RunCancelledError, RunFailedError } from "./errors.js";
import type { RunEnd } from "./run-ends.js";
import type { TriggerOptions } from "./trigger-options.js";

export interface ChildRequest {
  readonly id: string;
  readonly pipeline: Pipeline;
  readonly params: Encoded;
  readonly parent: ParentTask;
  readonly priority: number;
  readonly tags: readonly string[];
}

/** What the runs that tasks start need of their engine. */
export interface ChildRunsHost {
  readonly storage: Pick<Storage, "getRun" | "send">;
  readonly log: Logger;
  readonly newId: () => string;
  readonly now: () => number;
  /** Checks params and makes the record of a new run. */
  newRun(pipeline: Pipeline, params: unknown, options: TriggerOptions): Promise<NewRun>;
  /** Creates a run, or finds the one of this id. */
  create(run: NewRun): Promise<void>;
  /** A run of this engine's making exists, and nobody runs it as the answer was lost. */
  adopt(run: RunRecord): void;
  /** The run as it ended. */
  endOf(runId: string): Promise<RunEnd>;
  /** The encoded result of a run that succeeded; throws for every other. */
  resultOf(end: RunEnd, pipeline: Pipeline): Promise<Encoded>;
  /** Runs of ours may have become due again. */
  claim(): Promise<void>;
  /** A message was left for a run: storage may be one that gives no hints. */
  said(runId: string): void;
  /** Calls again after a while. */
  later(again: () => void): void;
}

/** Starts the runs of sub-pipelines and waits for them. Doing it again finds the run that exists. */
export class ChildRuns {
  readonly #host: ChildRunsHost;
  /** Runs that were asked for without an answer so far. */
  readonly #unsure = new Set<string>();

  constructor(host: ChildRunsHost) {
    this.#host = host;
  }

  /** @throws {WeftlineError} `PARAMS_INVALID`, and whatever storage fails with. */
  async start({ id, pipeline, params, parent, priority, tags }: ChildRequest): Promise<void> {
    const known = await this.#host.storage.getRun(id);
    if (known === undefined) {
      const run = await this.#host.newRun(pipeline, decode(params), { priority, tags });
      this.#unsure.add(id);
      await this.#host.create({ ...run, id, parent });
    } else if (this.#unsure.has(id)) this.#host.adopt(known);
    this.#unsure.delete(id);
  }

  /** Goes on with a run that failed or was cancelled. @returns False when it is not there any more. */
  async resume(id: string): Promise<boolean> {
    if ((await this.#host.storage.getRun(id)) === undefined) return false;
    await this.#send({ ...this.#envelope(id), kind: "resume" }); // refused when it succeeded or goes on already
    await this.#host.claim();
    return true;
  }

  /**
   * @returns The encoded result.
   * @throws {WeftlineError} `CHILD_FAILED` when the run failed or was cancelled; whatever storage fails with.
   */
  async resultOf(id: string, pipeline: Pipeline): Promise<Encoded> {
    const end = await this.#host.endOf(id);
    try {
      return await this.#host.resultOf(end, pipeline);
    } catch (cause) {
      if (!(cause instanceof RunFailedError || cause instanceof RunCancelledError)) throw cause;
      const what = end.record.status === "cancelled" ? "was cancelled" : "failed";
      throw new WeftlineError(
        "CHILD_FAILED",
        `run ${id} of pipeline "${pipeline.id}" ${what}. Mend the cause, then resume this run: that goes on with it from its point of failure.`,
        { cause },
      );
    }
  }

  /**
   * Cancels a run that nobody waits for any more; tried until storage answers.
   *
   * @param why - Of its parent, in words.
   */
  cancel(id: string, parentId: string, why: string): void {
    const reason = `${ofParent(parentId)}: ${why}`;
    const message: RunMessage = {
      ...this.#envelope(id),
      kind: "cancel",
      task: undefined,
      index: [],
      downstream: false,
      reason,
    };
    this.#send(message).catch((error: unknown) => {
      this.#host.log.warn({ runId: id, error }, "a run could not be cancelled with its parent; trying again");
      this.#host.later(() => this.cancel(id, parentId, why));
    });
  }

  later(again: () => void): void {
    this.#host.later(again);
  }

  #envelope(runId: string): Pick<RunMessage, "id" | "runId" | "sentAt"> {
    return { id: this.#host.newId(), runId, sentAt: this.#host.now() };
  }

  async #send(message: RunMessage): Promise<void> {
    await this.#host.storage.send([message]);
    this.#host.said(message.runId);
  }
}

/** Whether a child failed its parent because it had been cancelled with it, some time ago. */
export function wasCancelledWith(parentId: string, error: unknown): boolean {
  const cause = error instanceof WeftlineError && error.code === "CHILD_FAILED" ? error.cause : undefined;
  return cause instanceof RunCancelledError && cause.message.includes(ofParent(parentId));
}

function ofParent(parentId: string): string {
  return `its parent, run ${parentId}`;
}
