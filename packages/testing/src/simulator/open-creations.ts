/** An engine may go on asking for a run for so long after a request for it had failed. */
const ASKING_MS = 60_000;

/**
 * Runs that somebody may still ask the store to create, as a request for them has no answer or is under way yet. One that
 * is deleted meanwhile is created again, which is a known limit: the store keeps no ids of what it has deleted.
 */
export class OpenCreations {
  /** By run: until when. */
  readonly #until = new Map<string, number>();
  readonly #lateMs: number;

  /** @param lateMs - So much later than it fails a request may be carried out. */
  constructor(lateMs: number) {
    this.#lateMs = lateMs;
  }

  asked(runIds: readonly string[]): void {
    for (const id of runIds) this.#until.set(id, Number.POSITIVE_INFINITY);
  }

  answered(runIds: readonly string[], now: number): void {
    for (const id of runIds) this.#until.set(id, now + this.#lateMs);
  }

  failed(runIds: readonly string[], now: number): void {
    for (const id of runIds) this.#until.set(id, now + this.#lateMs + ASKING_MS);
  }

  has(runId: string, now: number): boolean {
    return (this.#until.get(runId) ?? 0) > now;
  }

  /** All of them. */
  at(now: number): readonly string[] {
    return [...this.#until.keys()].filter((id) => this.has(id, now));
  }
}
