import type { NewRun } from "../contracts/records.js";
import type { CreateResult, Storage } from "../contracts/storage.js";

interface Waiting {
  readonly run: NewRun;
  readonly resolve: (result: CreateResult) => void;
  readonly reject: (error: unknown) => void;
}

/** Creates runs in storage; those asked for in the same step go in one call. */
export class RunCreator {
  readonly #storage: Pick<Storage, "createRuns">;
  #waiting: Waiting[] = [];

  constructor(storage: Pick<Storage, "createRuns">) {
    this.#storage = storage;
  }

  create(run: NewRun): Promise<CreateResult> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ run, resolve, reject });
      if (this.#waiting.length === 1) void this.#createAll();
    });
  }

  async #createAll(): Promise<void> {
    await Promise.resolve(); // not queueMicrotask(), which fake timers stop
    const waiting = this.#waiting;
    this.#waiting = [];
    try {
      const results = await this.#storage.createRuns(waiting.map(({ run }) => run));
      for (let place = 0; place < waiting.length; place++) waiting[place]!.resolve(results[place]!);
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  }
}
