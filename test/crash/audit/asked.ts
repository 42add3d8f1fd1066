import type { AskedRun, HostLine } from "./host-log.js";

/** What an engine asked for with one flush, and was told. */
export interface AskedFlush {
  readonly engine: string;
  readonly flush: string;
  readonly runs: ReadonlyMap<string, AskedRun>;
  readonly sends: number;
  /** `undefined`: nobody heard an answer. */
  readonly answer: Answer | undefined;
}

export type Answer = HostLine & { readonly type: "answered" };

/** What a store refused, and the flush of the same engine that it took next. */
export interface Refused {
  readonly answer: Answer;
  readonly next: string | undefined;
}

/** What engines asked the store for, by their own logs. */
export class Asked {
  readonly flushes: ReadonlyMap<string, AskedFlush>;
  readonly refused: readonly Refused[];
  readonly loaded: readonly (HostLine & { readonly type: "loaded" })[];

  /** @param lines - Those of one engine in their order. */
  constructor(lines: readonly HostLine[]) {
    const flushes = new Map<string, AskedFlush>();
    const refused: { answer: Answer; next: string | undefined }[] = [];
    for (const line of lines) {
      if (line.type === "loaded") continue;
      const key = keyOf(line.engine, line.flush);
      const known = flushes.get(key);
      if (line.type === "asked") {
        const runs = new Map(line.runs.map((run) => [run.runId, run]));
        flushes.set(key, { ...line, runs, sends: (known?.sends ?? 0) + 1, answer: known?.answer });
      } else {
        if (known && line.outcome !== "unknown") flushes.set(key, { ...known, answer: line });
        if (line.outcome === "rejected") refused.push({ answer: line, next: undefined });
        if (line.outcome !== "ok") continue;
        for (const refusal of refused) {
          if (refusal.answer.engine === line.engine) refusal.next ??= key;
        }
      }
    }
    this.flushes = flushes;
    this.refused = refused;
    this.loaded = lines.filter((line) => line.type === "loaded");
  }

  get(engine: string, flush: string): AskedFlush | undefined {
    return this.flushes.get(keyOf(engine, flush));
  }

  /** Parts of flushes that belonged to somebody else by then, as far as their engines were told. */
  get fenced(): number {
    let count = 0;
    for (const { answer } of this.flushes.values()) count += answer?.fenced.length ?? 0;
    return count;
  }
}

export function keyOf(engine: string, flush: string): string {
  return `${engine} ${flush}`;
}
