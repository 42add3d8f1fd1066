import {
  type ClaimRequest,
  isRunFinished,
  type RunMessage,
  type RunRecord,
  type SendResult,
  type Storage,
} from "weftline";

const OPEN = ["queued", "running", "waiting", "paused"] as const;

/**
 * A storage through which an engine takes up only the runs that it is told to, with those that their tasks started: who
 * runs one pipeline by hand does not expect that whatever else is due starts as well. It leaves schedules alone.
 */
export class OwnRuns {
  readonly storage: Storage;
  readonly #inner: Storage;
  readonly #wanted = new Set<string>();
  readonly #cutOff = new Set<string>();

  constructor(inner: Storage) {
    this.#inner = inner;
    const replaced: Partial<Storage> = {
      claimRuns: (request, options) => this.#claim(request, options),
      send: (messages, options) => this.#send(messages, options),
      putSchedules: async () => {},
    };
    this.storage = new Proxy(inner, {
      get(target, name) {
        if (name in replaced) return replaced[name as keyof Storage];
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
  }

  /** The runs that the engine may take up. */
  get wanted(): ReadonlySet<string> {
    return this.#wanted;
  }

  /** Lets the engine take up a run. */
  want(runId: string): void {
    this.#wanted.add(runId);
  }

  /** The same for a run that has not ended, as its engine died: to resume it, nothing has to be said. */
  goOnWith(runId: string): void {
    this.want(runId);
    this.#cutOff.add(runId);
  }

  /** Runs that come before them in line are ours as well until the engine stops, but are not begun. */
  async #claim(request: ClaimRequest, options?: Parameters<Storage["claimRuns"]>[1]): Promise<readonly RunRecord[]> {
    const missing = await this.#claimable(request);
    const claimed: RunRecord[] = [];
    while (missing.size > 0) {
      const definitions = [...new Set([...missing.values()].map(({ definition }) => definition))];
      const found = await this.#inner.claimRuns({ ...request, definitions, limit: 1 }, options);
      if (found.length === 0) break;
      // Of a pipeline that has to be run one by one, those before it have to go first.
      claimed.push(...found.filter(({ id, pipeline }) => missing.delete(id) || pipeline in request.maxActiveRuns));
    }
    return claimed;
  }

  async #claimable({ engineId, definitions, now }: ClaimRequest): Promise<Map<string, RunRecord>> {
    const runs = new Map<string, RunRecord>();
    for (const id of this.#wanted) {
      const run = await this.#inner.getRun(id);
      if (run === undefined || isRunFinished(run.status)) continue;
      const isDue = run.owner !== engineId && run.availableAt <= now && definitions.includes(run.definition);
      if (isDue) runs.set(id, run);
      // A set goes on with what is added while it is walked.
      const children = await this.#inner.list("runs", { parent: id, status: OPEN }, { limit: 1_000 });
      for (const child of children.items) this.#wanted.add(child.id);
    }
    return runs;
  }

  async #send(
    messages: readonly RunMessage[],
    options?: Parameters<Storage["send"]>[1],
  ): Promise<readonly SendResult[]> {
    const isNeedless = messages.every(({ kind, runId }) => kind === "resume" && this.#cutOff.has(runId));
    return isNeedless ? messages.map(() => ({ kind: "sent" })) : this.#inner.send(messages, options);
  }
}
