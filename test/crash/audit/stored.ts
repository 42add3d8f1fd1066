import type { AttemptRecord, RunRecord, TaskRecord } from "weftline";

type Identity = Pick<TaskRecord, "position" | "index" | "generation">;

/** One run as all changes so far leave it: a fold of the audit, which knows no flush and no engine. */
export class StoredState {
  run: RunRecord;
  readonly #tasks = new Map<string, TaskRecord>();
  readonly #attempts = new Map<string, AttemptRecord>();
  /** Ids of the messages in its inbox. */
  readonly inbox = new Set<string>();

  constructor(run: RunRecord) {
    this.run = run;
  }

  task(identity: Identity): TaskRecord | undefined {
    return this.#tasks.get(identityOf(identity));
  }

  putTask(task: TaskRecord): void {
    this.#tasks.set(identityOf(task), task);
  }

  attempt(identity: Identity & Pick<AttemptRecord, "attempt">): AttemptRecord | undefined {
    return this.#attempts.get(`${identityOf(identity)}/${identity.attempt}`);
  }

  putAttempt(attempt: AttemptRecord): void {
    this.#attempts.set(`${identityOf(attempt)}/${attempt.attempt}`, attempt);
  }
}

function identityOf({ position, index, generation }: Identity): string {
  return `${position}/${index.join(".")}@${generation}`;
}
