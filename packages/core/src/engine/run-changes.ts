import type {
  ArtifactRecord,
  AssetRecord,
  AttemptRecord,
  CacheEntry,
  LogRecord,
  MetricRecord,
  StepRecord,
  TaskRecord,
} from "../contracts/records.js";
import type { RunChanges, RunState as StoredRunState } from "../contracts/storage.js";

/** What has happened in one run since its last flush. */
export class PendingChanges {
  run: StoredRunState | undefined = undefined;
  /** By instance: within one flush the later record of a task replaces the earlier one of the same generation. */
  readonly tasks = new Map<number, TaskRecord>();
  /** Of generations that ended in this flush, as the next one was opened in it too. */
  #former: TaskRecord[] | undefined;
  readonly attempts: AttemptRecord[] = [];
  readonly logs: LogRecord[] = [];
  readonly metrics: MetricRecord[] = [];
  readonly artifacts: ArtifactRecord[] = [];
  readonly steps: StepRecord[] = [];
  readonly assets: AssetRecord[] = [];
  readonly cached: CacheEntry[] = [];
  readonly consumed: string[] = [];

  get isEmpty(): boolean {
    return (
      this.run === undefined &&
      this.tasks.size === 0 &&
      this.attempts.length === 0 &&
      this.logs.length === 0 &&
      this.metrics.length === 0 &&
      this.artifacts.length === 0 &&
      this.steps.length === 0 &&
      this.consumed.length === 0
    );
  }

  setTask(instance: number, record: TaskRecord): void {
    const former = this.tasks.get(instance);
    if (former !== undefined && former.generation < record.generation) {
      this.#former ??= [];
      this.#former.push(former);
    }
    this.tasks.set(instance, record);
  }

  /** Takes over the lines, metrics and files of a flush that was refused; its records are made anew. */
  addHistory({ logs, metrics, artifacts, steps }: PendingChanges): void {
    for (const record of logs) this.logs.push(record);
    for (const record of metrics) this.metrics.push(record);
    for (const record of artifacts) this.artifacts.push(record);
    for (const record of steps) this.steps.push(record);
  }

  /** What the store refused, and with it everything its task or item wrote in the same flush. */
  dropHistoryOf(isRefused: (line: { readonly task: string; readonly index: readonly number[] }) => boolean): void {
    for (const lines of [this.logs, this.metrics, this.artifacts, this.steps] as {
      task: string;
      index: readonly number[];
    }[][]) {
      let kept = 0;
      for (const line of lines) if (!isRefused(line)) lines[kept++] = line;
      lines.length = kept;
    }
  }

  toFlush(runId: string, epoch: number): RunChanges {
    const { run, attempts, logs, metrics, artifacts, steps, assets, cached, consumed } = this;
    const tasks = [...(this.#former ?? []), ...this.tasks.values()];
    return { runId, epoch, run, tasks, attempts, logs, metrics, artifacts, steps, assets, cached, consumed };
  }
}
