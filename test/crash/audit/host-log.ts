import type { AttemptRecord, CommitOutcome, Flush, Page, PageRequest, RunChanges, Storage, TaskRecord } from "weftline";

/** A record of a flush, as far as it has to be told from others. */
export interface AskedRecord {
  readonly position: number;
  readonly index: readonly number[];
  readonly generation: number;
  readonly status: string;
  readonly attempt?: number;
}

export interface AskedRun {
  readonly runId: string;
  readonly epoch: number;
  /** The run's own new status. */
  readonly status?: string;
  readonly tasks: readonly AskedRecord[];
  readonly attempts: readonly AskedRecord[];
  readonly consumed: readonly string[];
}

/** What a host keeps of its calls: what no database can know. */
export type HostLine =
  /** Before the call. */
  | { readonly type: "asked"; readonly engine: string; readonly flush: string; readonly runs: readonly AskedRun[] }
  /** After it. @property whole - The flush, where the store refused values in it. */
  | {
      readonly type: "answered";
      readonly engine: string;
      readonly flush: string;
      readonly at: number;
      readonly outcome: CommitOutcome["kind"];
      readonly fenced: readonly string[];
      readonly rejected?: readonly {
        readonly runId: string;
        readonly task: string;
        readonly index: readonly number[];
      }[];
      readonly whole?: readonly RunChanges[];
    }
  /** What `loadTasks` told of a run that had just been claimed, before anything was written of it. */
  | {
      readonly type: "loaded";
      readonly engine: string;
      readonly runId: string;
      readonly epoch: number;
      readonly at: number;
      readonly tasks: readonly TaskRecord[];
    };

interface Claim {
  readonly engine: string;
  readonly epoch: number;
}

interface Loading {
  readonly claims: ReadonlyMap<string, Claim>;
  readonly tasks: TaskRecord[];
}

/** A storage that tells of the flushes that it is asked for and what became of them, and of what new owners read. */
export function toldStorage(storage: Storage, tell: (line: HostLine) => void): Storage {
  const teller = new Teller(storage, tell);
  const own: Partial<Storage> = {
    commit: (flush, options) => teller.commit(flush, options),
    claimRuns: (request, options) => teller.claimRuns(request, options),
    loadTasks: (runIds, page, options) => teller.loadTasks(runIds, page, options),
  };
  return new Proxy(storage, {
    get(target, name) {
      const member: unknown = Reflect.get(own, name) ?? Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

class Teller {
  readonly #storage: Storage;
  readonly #tell: (line: HostLine) => void;
  /** Runs that were claimed, and of which nothing has been written since. */
  readonly #claims = new Map<string, Claim>();
  /** By the cursor of the page that follows. */
  readonly #loading = new Map<string, Loading>();

  constructor(storage: Storage, tell: (line: HostLine) => void) {
    this.#storage = storage;
    this.#tell = tell;
  }

  async commit(flush: Flush, options?: object): Promise<CommitOutcome> {
    const { id, engineId: engine, runs } = flush;
    for (const { runId } of runs) this.#claims.delete(runId);
    this.#tell({ type: "asked", engine, flush: id, runs: runs.map(asked) });
    const outcome = await this.#storage.commit(flush, options);
    this.#tell({
      ...{ type: "answered", engine, flush: id, at: Date.now(), outcome: outcome.kind },
      fenced: outcome.kind === "ok" ? outcome.fenced : [],
      ...(outcome.kind === "rejected" && { rejected: outcome.values, whole: runs }),
    });
    return outcome;
  }

  async claimRuns(...[request, options]: Parameters<Storage["claimRuns"]>): ReturnType<Storage["claimRuns"]> {
    const runs = await this.#storage.claimRuns(request, options);
    for (const { id, epoch } of runs) this.#claims.set(id, { engine: request.engineId, epoch });
    return runs;
  }

  async loadTasks(runIds: readonly string[], page: PageRequest, options?: object): Promise<Page<TaskRecord>> {
    const ids = runIds.join();
    const begun = page.cursor === undefined ? undefined : this.#loading.get(`${ids} ${page.cursor}`);
    const loading = begun ?? { claims: new Map(this.#claims), tasks: [] };
    const answer = await this.#storage.loadTasks(runIds, page, options);
    for (const task of answer.items) loading.tasks.push(task);
    if (page.cursor !== undefined) this.#loading.delete(`${ids} ${page.cursor}`);
    if (answer.next !== undefined) this.#loading.set(`${ids} ${answer.next}`, loading);
    else this.#loaded(runIds, loading);
    return answer;
  }

  #loaded(runIds: readonly string[], { claims, tasks }: Loading): void {
    for (const runId of runIds) {
      const claim = claims.get(runId);
      if (claim === undefined || this.#claims.get(runId) !== claim) continue;
      const own = tasks.filter((task) => task.runId === runId);
      this.#tell({ type: "loaded", runId, ...claim, at: Date.now(), tasks: own });
    }
  }
}

function asked({ runId, epoch, run, tasks, attempts, consumed }: RunChanges): AskedRun {
  return {
    ...{ runId, epoch, consumed },
    ...(run && { status: run.status }),
    tasks: tasks.map(askedRecord),
    attempts: attempts.map((attempt) => ({ ...askedRecord(attempt), attempt: attempt.attempt })),
  };
}

function askedRecord({ position, index, generation, status }: TaskRecord | AttemptRecord): AskedRecord {
  return { position, index, generation, status };
}
