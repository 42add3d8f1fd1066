import type { AttemptRecord, TaskRecord, TaskStatus } from "weftline";
import { type CompiledShape, type CompiledTask, compileShape } from "./compiled-shape.js";
import type { Flushed, HistoryEvent, MessageSent, RunClaimed, RunCreated, RunRemapped, Shape } from "./history.js";
import { type RuleDecision, ruleDecision, type Upstream } from "./rule-decision.js";

/** An attempt as it was written last, and where. */
export interface SeenAttempt {
  readonly record: AttemptRecord;
  readonly event: HistoryEvent;
  /** When it was first written of. */
  readonly first: HistoryEvent;
}

/** A task or item in one of its generations. */
export interface Instance {
  /** `train[3]` and the like, without the generation. */
  readonly key: string;
  readonly position: number;
  readonly task: string;
  readonly index: readonly number[];
  readonly generation: number;
  record: TaskRecord | undefined;
  /** What wrote the record. */
  event: HistoryEvent | undefined;
  /** What made it final. */
  ended: HistoryEvent | undefined;
  /** By number. */
  readonly attempts: Map<number, SeenAttempt>;
}

/** One tenure of a run. */
export interface Tenure {
  readonly engine: string;
  readonly epoch: number;
  readonly event: RunClaimed | RunCreated;
  /** What ended it; `undefined`: nothing so far. */
  end: HistoryEvent | undefined;
}

export interface FinalStatus {
  readonly status: string;
  readonly event: Flushed;
}

const FINAL: ReadonlySet<TaskStatus> = new Set(["succeeded", "failed", "skipped", "upstream-failed", "cancelled"]);
const FINAL_RUN: ReadonlySet<string> = new Set(["succeeded", "failed", "cancelled", "quarantined"]);

export function isFinal(status: TaskStatus): boolean {
  return FINAL.has(status);
}

export function isFinalRun(status: string): boolean {
  return FINAL_RUN.has(status);
}

/** Where one run stands after the events so far: the checker's own fold, which shares nothing with the engine's. */
export class RunModel {
  readonly id: string;
  created: RunCreated | undefined;
  shape: CompiledShape | undefined;
  definition: string | undefined;
  remaps: RunRemapped[] = [];
  status = "queued";
  generation = 1;
  crashes = 0;
  startedAt: number | undefined;
  deadlineAt: number | undefined;
  params: string | undefined;
  error: { readonly code?: string | undefined; readonly message: string } | undefined;
  owner: string | undefined;
  epoch = 0;
  readonly tenures: Tenure[] = [];
  /** What changed its owner last. */
  ownerChange: HistoryEvent | undefined;
  /** What wrote it last. */
  lastWrite: HistoryEvent | undefined;
  /** By key: what made the task's own rule let it run. */
  readonly ruled = new Map<string, HistoryEvent>();
  /** By key, the newest generation. */
  readonly current = new Map<string, Instance>();
  /** Older generations. */
  readonly former: Instance[] = [];
  /** Messages that nothing has answered yet. */
  readonly inbox = new Map<string, MessageSent>();
  readonly sent: MessageSent[] = [];
  /** Every time it ended. */
  readonly ends: FinalStatus[] = [];
  /** The flush that ended it; `undefined` while it goes on. */
  ended: Flushed | undefined;
  deleted: HistoryEvent | undefined;
  /** A flush of it has no known outcome: what follows from its records is not to be held against anybody. */
  isAmbiguous = false;

  constructor(id: string) {
    this.id = id;
  }

  adoptShape(hash: string, shapes: Readonly<Record<string, Shape>>): void {
    this.definition = hash;
    const shape = shapes[hash];
    this.shape = shape && compileShape(shape);
  }

  /** Whether some unanswered message is of a kind. */
  inboxHas(matches: (message: MessageSent) => boolean): boolean {
    for (const message of this.inbox.values()) if (matches(message)) return true;
    return false;
  }

  /** Somebody owns it from here on. */
  beginTenure(engine: string, epoch: number, event: RunClaimed | RunCreated): void {
    this.endTenure(event);
    this.owner = engine;
    this.epoch = epoch;
    this.tenures.push({ engine, epoch, event, end: undefined });
  }

  /** Nobody owns it any more. */
  endTenure(event: HistoryEvent): void {
    const last = this.tenures.at(-1);
    if (last !== undefined && last.end === undefined) last.end = event;
    this.owner = undefined;
    this.ownerChange = event;
  }

  /** The record's instance, made when it is the first of its generation. */
  instanceOf(record: Pick<TaskRecord, "task" | "position" | "index" | "generation">): Instance {
    const key = keyOf(record.task, record.index);
    const known = this.current.get(key);
    if (known !== undefined && known.generation === record.generation) return known;
    const isOlder = known !== undefined && known.generation > record.generation;
    const older = isOlder && this.former.find((old) => old.key === key && old.generation === record.generation);
    if (older) return older;
    const { position, task, index, generation } = record;
    // Written out, as a spread costs more than all the rest of this function.
    const made: Instance = {
      key,
      position,
      task,
      index,
      generation,
      record: undefined,
      event: undefined,
      ended: undefined,
      attempts: new Map(),
    };
    // A flush that opens a generation may hold the last attempts of the one before, of which nothing was written so far.
    if (isOlder) this.former.push(made);
    else {
      if (known !== undefined) this.former.push(known);
      this.current.set(key, made);
    }
    return made;
  }

  find(position: number, index: readonly number[]): Instance | undefined {
    const task = this.shape?.tasks[position];
    return task && this.current.get(keyOf(task.id, index));
  }

  /** The task or item in the generation that somebody saw; the only one when that is not known. */
  at(task: string, index: readonly number[], generation: number | undefined): Instance | undefined {
    const key = keyOf(task, index);
    const current = this.current.get(key);
    if (generation === undefined || current?.generation === generation) return current;
    return this.former.find((old) => old.key === key && old.generation === generation);
  }

  *instances(): Iterable<Instance> {
    yield* this.former;
    yield* this.current.values();
  }

  /** What stands around it: the item of a mapped group, the group, or the list that it is an item of. */
  around({
    position,
    index,
  }: Pick<Instance, "position" | "index">): { position: number; index: readonly number[] } | undefined {
    const task = this.shape!.tasks[position]!;
    if (index.length > task.depth) return { position, index: index.slice(0, -1) };
    return task.around < 0 ? undefined : { position: task.around, index };
  }

  /** The run goes on under another definition: tasks move, and those that have no place are gone. */
  move(moves: ReadonlyMap<number, { readonly position: number; readonly task: string }>): void {
    const [former, current] = [this.former.splice(0), [...this.current.values()]];
    this.current.clear();
    this.ruled.clear();
    const moved = (instance: Instance): Instance[] => {
      const move = moves.get(instance.position);
      if (move === undefined) return [];
      const { position, task } = move;
      const key = keyOf(task, instance.index);
      return [{ ...instance, key, position, task, record: instance.record && { ...instance.record, position, task } }];
    };
    this.former.push(...former.flatMap(moved));
    for (const instance of current.flatMap(moved)) this.current.set(instance.key, instance);
  }

  /** Written before what stands around it was opened anew, and so as good as gone. */
  isStale(instance: Instance): boolean {
    if (this.shape === undefined) return false;
    let outer = this.around(instance);
    while (outer !== undefined) {
      const generation = this.find(outer.position, outer.index)?.generation;
      if (generation !== undefined && generation > instance.generation) return true;
      outer = this.around(outer);
    }
    return false;
  }

  /** What its own rule and everything around it let start, whichever came last; `undefined`: not all of them do. */
  runnable(instance: Pick<Instance, "position" | "index">): HistoryEvent | undefined {
    let latest = this.created as HistoryEvent | undefined;
    for (let at: Pick<Instance, "position" | "index"> | undefined = instance; at !== undefined; at = this.around(at)) {
      const task = this.shape!.tasks[at.position]!;
      if (at.index.length > task.depth) continue;
      const event = this.ruled.get(keyOf(task.id, at.index)) ?? (isFree(task) ? this.created : undefined);
      if (event === undefined) return undefined;
      if (latest === undefined || event.seq > latest.seq) latest = event;
    }
    return latest;
  }

  /** What the rule of a task says about its upstream in the frame of `index` as it stands. `undefined`: it cannot be told. @param isLater - Ends not to look at. */
  decision(
    task: CompiledTask,
    frame: readonly number[],
    isLater?: (upstream: Instance) => boolean,
  ): RuleDecision | undefined {
    const upstream: Upstream = { succeeded: 0, failed: 0, skipped: 0, upstreamFailed: 0, total: task.before.length };
    for (const { from, choices } of task.before) {
      const report = this.#report(from, frame, choices, task.position, isLater);
      if (report === "unknown") return undefined;
      if (report !== "open") upstream[report]++;
    }
    if (!task.teardown) return ruleDecision(task.rule, upstream);
    const { succeeded, failed, skipped, upstreamFailed, total } = upstream;
    if (succeeded + failed + skipped + upstreamFailed < total) return "wait";
    const isSetUp = task.setup.every((from) => this.find(from, frame)?.record?.status === "succeeded");
    return isSetUp ? "run" : "skip";
  }

  #report(
    from: number,
    frame: readonly number[],
    choices: readonly string[] | undefined,
    to: number,
    isLater?: (upstream: Instance) => boolean,
  ): "succeeded" | "failed" | "skipped" | "upstreamFailed" | "open" | "unknown" {
    const instance = this.find(from, frame);
    const record = instance?.record;
    if (record === undefined || !isFinal(record.status) || this.isStale(instance!)) return "open";
    if (isLater?.(instance!)) return "open";
    switch (record.status) {
      case "succeeded": {
        if (this.shape!.tasks[from]!.kind !== "branch") return "succeeded";
        const choice = chosen(record.output);
        if (choice === undefined) return choices === undefined ? "succeeded" : "unknown";
        return this.#isOnPath(from, choice, choices, to) ? "succeeded" : "skipped";
      }
      case "skipped":
        return "skipped";
      case "upstream-failed":
        return "upstreamFailed";
      default:
        return "failed";
    }
  }

  /** A branch leads to a task directly, without a condition, or by way of others that it chose. */
  #isOnPath(branch: number, choice: string, choices: readonly string[] | undefined, to: number): boolean {
    if (choices === undefined || choices.includes(choice)) return true;
    const { tasks } = this.shape!;
    const open = tasks[branch]!.after.filter((next) =>
      tasks[next]!.before.some((edge) => edge.from === branch && edge.choices?.includes(choice)),
    );
    const seen = new Set(open);
    for (let task = open.pop(); task !== undefined; task = open.pop()) {
      if (task === to) return true;
      for (const next of tasks[task]!.after) {
        if (seen.has(next)) continue;
        seen.add(next);
        open.push(next);
      }
    }
    return false;
  }
}

/** Nothing has to end before it. */
export function isFree({ before, rule, teardown }: CompiledTask): boolean {
  return before.length === 0 || (rule === "always" && !teardown);
}

export function keyOf(task: string, index: readonly number[]): string {
  return index.length === 0 ? task : `${task}[${index.join(".")}]`;
}

function chosen(output: string | undefined): string | undefined {
  if (output === undefined || !output.startsWith("j1:")) return undefined;
  try {
    return String(JSON.parse(output.slice(3)));
  } catch {
    return undefined;
  }
}
