import { pipeline } from "weftline";

/** What a task tells of itself, outside of the store. */
export interface WitnessEntry {
  /** `confirmed`: the engine says that storage has the end of the task. */
  readonly phase: "start" | "end" | "confirmed";
  readonly run: string;
  readonly task: string;
  readonly index: readonly number[];
  readonly attempt: number;
  /** The one that ran it. */
  readonly engine: string;
  /** By the clock of the machine. */
  readonly at: number;
}

export type Witness = (entry: WitnessEntry) => void;

const ITEMS = [0, 1, 2];
/** Tasks and items of one run that do something. */
export const WORK_UNITS = 4 + ITEMS.length;
const TASK_MS = 5;

interface Facts {
  readonly run: { readonly id: string };
  readonly task: { readonly id: string };
  readonly attempt: number;
}

/** A pipeline with some of everything that writes: a chain, a list, a retry, a sleep. */
export function workOf(engine: string, witness: Witness) {
  const during = async ({ run, task, attempt }: Facts, index: readonly number[] = []): Promise<number> => {
    const unit = { run: run.id, task: task.id, index, attempt, engine };
    witness({ phase: "start", ...unit, at: Date.now() });
    await new Promise((resolve) => setTimeout(resolve, TASK_MS));
    witness({ phase: "end", ...unit, at: Date.now() });
    return attempt;
  };
  const retry = { attempts: 1_000, delay: 5, backoff: "fixed" } as const;
  return pipeline("work", { defaults: { retry } }, (p) => {
    const first = p.task("first", (context) => during(context));
    const list = p.task("list", { after: [first] }, async (context) => {
      await during(context);
      return ITEMS;
    });
    const each = p.map("each", { over: list }, (context) => during(context, [context.index]));
    const nap = p.sleep("nap", { after: [each], for: "10ms" });
    const flaky = p.task("flaky", { after: [nap] }, async (context) => {
      if (context.attempt === 1) throw new Error("the first attempt fails");
      return during(context);
    });
    return { last: p.task("last", { needs: { each }, after: [flaky] }, (context) => during(context)) };
  });
}
