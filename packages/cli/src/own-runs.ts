import {
  type ClaimRequest,
  isRunFinished,
  type RunMessage,
  type RunRecord,
  type SendResult,
  type Storage,
} from "weftline";
import { allPages } from "./pages.js";

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

  async #claim(request: ClaimRequest, options?: Parameters<Storage["claimRuns"]>[1]): Promise<readonly RunRecord[]> {
    if (request.runId !== undefined) return this.#inner.claimRuns(request, options);
    const claimed: RunRecord[] = [];
    for (const { id, pipeline } of await this.#due(request)) {
      const limit = request.maxActiveRuns[pipeline];
      if (limit !== undefined && (await this.#isFull(pipeline, id, limit, request))) continue;
      // Somebody asked for this very run, however many engines it has taken down.
      const one = { ...request, runId: id, limit: 1, suspects: 1 };
      claimed.push(...(await this.#inner.claimRuns(one, options)));
    }
    return claimed;
  }

  /** The wanted runs that the engine does not have, and may begin. */
  async #due({ engineId, definitions, now }: ClaimRequest): Promise<readonly RunRecord[]> {
    const due: RunRecord[] = [];
    for (const id of this.#wanted) {
      const run = await this.#inner.getRun(id);
      if (run === undefined || isRunFinished(run.status)) continue;
      if (run.owner !== engineId && run.availableAt <= now && definitions.includes(run.definition)) due.push(run);
      // A set goes on with what is added while it is walked.
      const children = await this.#inner.list("runs", { parent: id, status: OPEN }, { limit: 1_000 });
      for (const child of children.items) this.#wanted.add(child.id);
    }
    return due;
  }

  /** Whether as many other runs of the pipeline are active as may be. */
  async #isFull(pipeline: string, runId: string, limit: number, request: ClaimRequest): Promise<boolean> {
    await this.#inner.claimRuns({ ...request, definitions: [] }); // takes nothing; but what the dead had is free now
    let active = 0;
    for await (const run of allPages((page) => this.#inner.list("runs", { pipeline, status: OPEN }, page))) {
      if (run.owner !== undefined && run.id !== runId) active++;
      if (active === limit) return true;
    }
    return false;
  }

  async #send(
    messages: readonly RunMessage[],
    options?: Parameters<Storage["send"]>[1],
  ): Promise<readonly SendResult[]> {
    const isNeedless = messages.every(({ kind, runId }) => kind === "resume" && this.#cutOff.has(runId));
    return isNeedless ? messages.map(() => ({ kind: "sent" })) : this.#inner.send(messages, options);
  }
}
