import type { MessagePort } from "node:worker_threads";
import type { ErrorRecord, TaskJob, ValueLimits } from "weftline";
import type { Definitions, FromWorker, ToWorker } from "weftline/remote";

/** What a thread is started with. */
export interface ThreadStart {
  readonly url: string;
  readonly port: MessagePort;
  /** In shared memory: how many messages the thread has sent, so that the host need not ask its port in vain. */
  readonly sent: Int32Array;
  readonly isRecycling: boolean;
}

/** How the start went; a class would not survive the way. */
export type ThreadStarted =
  | { readonly definitions: Definitions; readonly threadId: number }
  | { readonly error: ErrorRecord };

/** What is the same for many jobs in a row, and sent again only when it changes. */
interface Frame {
  readonly runId: string;
  readonly pipeline: string;
  readonly definition: string;
  readonly task: string;
  readonly position: number;
  readonly generation: number;
  readonly params: TaskJob["params"];
  readonly run: TaskJob["run"];
  readonly graceMs: number;
  readonly limits: ValueLimits;
}

/** A job: token, attempt, index, input, items, and the frame. A list, as each name costs its way through the clone. */
type FramedJob = readonly [
  token: number,
  attempt: number,
  index: readonly number[],
  input: TaskJob["input"],
  items: TaskJob["items"],
  frame: Frame | null,
];

/**
 * A job in the frame of the one before. As text where it reads nothing but one item at the most, as most items of a long
 * list: `token attempt index item`, the numbers of the index with commas, and no item without its space. Text goes
 * through the clone in a quarter of the time.
 */
export type SentJob = FramedJob | string;

/** A list or a text: a job. `close`: end the resources, and answer when that is done. */
export type ToThread = SentJob | Exclude<ToWorker, { readonly kind: "run" }> | { readonly kind: "close" };

export type FromThread =
  /** `token output`: the attempt succeeded with that output, and nothing else is to be said. */
  | string
  | FromWorker
  /** The attempt's thread is to be used no more. */
  | { readonly kind: "worn"; readonly why: string }
  /** Written or thrown while no task ran, or by one that had ended. */
  | { readonly kind: "noise"; readonly level: "info" | "warn"; readonly text: string }
  | { readonly kind: "closed" };

/** Packs jobs for one thread. */
export class JobPacker {
  readonly #limits: ValueLimits;
  #last: Frame | undefined;

  constructor(limits: ValueLimits) {
    this.#limits = limits;
  }

  pack(token: number, job: TaskJob): SentJob {
    const { input, items, attempt, index } = job; // read once each: they are put together when they are read
    const isSame = this.#last !== undefined && isIn(this.#last, job);
    if (isSame && items.length <= 1 && isEmpty(input)) {
      const head = `${token} ${attempt} ${index.length === 1 ? index[0] : index.join(",")}`;
      return items.length === 0 ? head : `${head} ${items[0]}`;
    }
    if (!isSame) this.#last = this.#frameOf(job);
    return [token, attempt, index, input, items, isSame ? null : this.#last!];
  }

  #frameOf({ runId, pipeline, definition, task, position, generation, params, run, graceMs }: TaskJob): Frame {
    const limits = this.#limits;
    return { runId, pipeline, definition, task, position, generation, params, run, graceMs, limits };
  }
}

/** Unpacks the jobs of one thread. */
export class JobUnpacker {
  #frame: Frame | undefined;

  unpack(sent: SentJob): Extract<ToWorker, { readonly kind: "run" }> {
    if (typeof sent === "string") return this.#unpackText(sent);
    const [token, attempt, index, input, items, frame] = sent;
    this.#frame = frame ?? this.#frame!;
    return this.#run(token, attempt, index, input, items);
  }

  #unpackText(text: string): Extract<ToWorker, { readonly kind: "run" }> {
    const first = text.indexOf(" ");
    const second = text.indexOf(" ", first + 1);
    const third = text.indexOf(" ", second + 1);
    const path = third < 0 ? text.slice(second + 1) : text.slice(second + 1, third);
    const index = path === "" ? NO_INDEX : path.split(",").map(Number);
    const items = third < 0 ? NO_ITEMS : [text.slice(third + 1)];
    return this.#run(Number(text.slice(0, first)), Number(text.slice(first + 1, second)), index, NO_INPUT, items);
  }

  #run(
    token: number,
    attempt: number,
    index: readonly number[],
    input: TaskJob["input"],
    items: TaskJob["items"],
  ): Extract<ToWorker, { readonly kind: "run" }> {
    const { runId, pipeline, definition, task, position, generation, params, run, graceMs, limits } = this.#frame!;
    // Each by its name: a spread takes ten times as long, and this is on the way of every task.
    const job: TaskJob = {
      runId,
      pipeline,
      definition,
      task,
      position,
      index,
      generation,
      attempt,
      params,
      input,
      items,
      run,
      graceMs,
    };
    return { kind: "run", token, job, limits };
  }
}

const NO_INDEX: readonly number[] = Object.freeze([]);
const NO_INPUT: TaskJob["input"] = Object.freeze({});
const NO_ITEMS: TaskJob["items"] = Object.freeze([]);

function isIn(frame: Frame, job: TaskJob): boolean {
  return (
    // The same object for all tasks of a run that an engine has taken up.
    frame.run === job.run &&
    frame.position === job.position &&
    frame.task === job.task &&
    frame.generation === job.generation &&
    frame.params === job.params &&
    frame.definition === job.definition &&
    frame.pipeline === job.pipeline &&
    frame.runId === job.runId &&
    frame.graceMs === job.graceMs
  );
}

function isEmpty(input: TaskJob["input"]): boolean {
  for (const _ in input) return false;
  return true;
}
