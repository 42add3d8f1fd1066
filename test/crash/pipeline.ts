import { closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import { hashOf, type WitnessLine } from "@weftline/testing";
import { encode, NonRetryableError, pipeline, type RunFacts, type TaskFacts, taskName } from "weftline";
import { scheduleOf, type Ticks } from "./ticks.js";

/** What the tasks are given to say that they run, from outside of the engine. */
export interface Surroundings {
  /** A folder that all processes share. */
  readonly folder: string;
  /** Who runs them. */
  readonly engine: string;
  readonly witness: (line: WitnessLine) => void;
  /** Called where a process may be killed. */
  readonly pass: (point: string) => void;
  /** How long each task takes, in milliseconds. */
  readonly workMs: number;
  /** How long `nap` sleeps, in milliseconds. */
  readonly napMs: number;
  /** When `crash-tick` runs; `undefined`: never. */
  readonly ticks: Ticks | undefined;
}

/** The part of a task's context that the witness tells. */
interface Seen {
  readonly run: RunFacts;
  readonly task: TaskFacts;
  readonly attempt: number;
  readonly idempotencyKey: string;
  readonly input: Readonly<Record<string, unknown>>;
}

/** Begins the names of files which say that a group has failed once. */
export const MARKER = "failed-";

/** For who only looks at the shape of the pipelines. */
export const NO_SURROUNDINGS: Surroundings = {
  folder: "",
  engine: "",
  witness: () => {},
  pass: () => {},
  workMs: 0,
  napMs: 150,
  ticks: undefined,
};

/** What a store may refuse: of each fifth instant `crash-tick` returns it, and has to go on without. */
export const REFUSED = "crash-refuse-me";
/** So many runs of `crash-tick` may be active at once. */
export const ACTIVE_TICKS = 2;

/** What the run of `crash` returns, whatever happened to its processes. */
export const EXPECTED = {
  sum: 29,
  flaky: "at last",
  items: [1, 2, 3, 4],
  stage: "a+b",
  child: 7,
  by: "Ada",
  side: "left",
  steps: 6,
};

/**
 * Two pipelines of every kind of task: `crash` with 22 tasks, and `crash-child`, which it runs. And `crash-tick`, which
 * runs by its schedule.
 *
 * They are made afresh for each process, and are alike wherever `napMs` is.
 */
export function crashPipelines(surroundings: Surroundings) {
  const { ticks } = surroundings;
  const see = <Output>(context: Seen, run: () => Output | Promise<Output>) => witnessed(surroundings, context, run);
  const child = pipeline("crash-child", (p) => {
    const first = p.task("first", (c) => see(c, () => 3));
    const second = p.task("second", { needs: { first } }, (c) => see(c, () => c.input.first + 4));
    return { second };
  });
  const crash = pipeline("crash", (p) => {
    const retry = { attempts: 3, delay: "20ms", backoff: "fixed" } as const;
    const load = p.task("load", (c) => see(c, () => [2, 3, 4]));
    const square = p.map("square", { over: load, concurrency: 2 }, (c) => see(c, () => c.item * c.item));
    const sum = p.task("sum", { needs: { square } }, (c) => see(c, () => c.input.square.reduce((a, b) => a + b, 0)));
    const flaky = p.task("flaky", { after: [load], retry }, (c) => see(c, () => failsFirst(c, "at last")));
    const list = p.task("list", (c) => see(c, () => [1, 2, 3, 4]));
    const items = p.map("item", { over: list, retry }, (c) =>
      see(c, () => (c.item === 3 ? failsFirst(c, c.item) : c.item)),
    );
    const nap = p.sleep("nap", { for: surroundings.napMs, after: [load] });
    const approval = p.signal("approval", { after: [load] });
    const gate = p.branch("gate", { needs: { load } }, (c) =>
      see(c, () => (c.input.load.length > 2 ? "left" : "right")),
    );
    const left = p.task("left", { after: [gate.when("left")] }, (c) => see(c, () => "left"));
    const right = p.task("right", { after: [gate.when("right")] }, (c) => see(c, () => "right"));
    const sides = { needs: { left, right }, triggerRule: "none-failed-min-one-success" } as const;
    const side = p.task("side", sides, (c) => see(c, () => c.input.left ?? c.input.right));
    const stage = p.group("stage", { retry: { attempts: 2, delay: "10ms" }, after: [nap] }, (g) => {
      const a = g.task("a", (c) => see(c, () => "a"));
      const b = g.task("b", { needs: { a } }, (c) => see(c, () => failsOnce(surroundings, c, `${c.input.a}+b`)));
      return { b };
    });
    const called = p.run("child", child, { after: [load] });
    const watch = p.poll("watch", { every: "30ms", after: [load] }, looksTwice());
    const stepped = p.task("stepped", { after: [watch] }, (c) => see(c, () => steps(surroundings, c)));
    const cluster = p.task("cluster", (c) => see(c, () => "c-1"));
    const fragile = p.task("fragile", { after: [cluster], allowFailure: true }, (c) => see(c, fails));
    const tidy = p.task("tidy", { after: [fragile], triggerRule: "all-done" }, (c) => see(c, () => "tidied"));
    p.task("stop-cluster", { needs: { cluster }, after: [tidy], teardown: true }, (c) => see(c, () => undefined));
    const report = p.task(
      "report",
      { needs: { sum, flaky, items, stage: stage.outputs.b, called, approval, side, stepped }, after: [tidy] },
      (c) =>
        see(c, () => ({
          sum: c.input.sum,
          flaky: c.input.flaky,
          items: c.input.items,
          stage: c.input.stage,
          child: c.input.called.second,
          by: (c.input.approval as { readonly by: string }).by,
          side: c.input.side,
          steps: c.input.stepped,
        })),
    );
    return { report };
  });
  const tick = pipeline(
    "crash-tick",
    { ...(ticks && { schedule: scheduleOf(ticks) }), maxActiveRuns: ACTIVE_TICKS },
    (p) => {
      const note = p.task("note", (c) => see(c, () => c.run.instant ?? 0));
      const odd = p.task("odd", { needs: { note }, allowFailure: true }, (c) =>
        see(c, () => (isRefused(c.input.note) ? REFUSED : "kept")),
      );
      p.task("after", { after: [odd], triggerRule: "all-done" }, (c) => see(c, () => "done"));
    },
  );
  return { crash, child, tick };
}

function isRefused(instant: number): boolean {
  return Math.floor(instant / 1_000) % 5 === 0;
}

/** Tells the witness of an execution's start, effect and end, and offers a place to be killed at each. */
async function witnessed<Output>(
  { witness, pass, engine, workMs }: Surroundings,
  context: Seen,
  run: () => Output | Promise<Output>,
): Promise<Output> {
  const { task, attempt, idempotencyKey: key } = context;
  const index = indexOf(context);
  const execution = `${engine}/${Math.random()}`;
  const about = { runId: context.run.id, task: task.id, index, attempt, key, engine, execution };
  const say = (phase: WitnessLine["phase"], more: object = {}) => {
    witness({ ...about, phase, at: Date.now(), ...more });
    pass(`task ${taskName(task.id, index)} ${phase}`);
  };
  say("start", { inputHashes: hashesOf(context.input) });
  if (workMs > 0) await new Promise((resolve) => setTimeout(resolve, workMs));
  try {
    const output = await run();
    say("effect");
    say("end", output === undefined ? {} : { outputHash: hashOf(encode(output, "output")) });
    return output;
  } catch (error) {
    say("end", { outcome: "threw" });
    throw error;
  }
}

/** Of what the task reads, as it would be stored. */
function hashesOf(input: Seen["input"]): Readonly<Record<string, string>> {
  const read = Object.entries(input).filter(([, value]) => value !== undefined);
  return Object.fromEntries(read.map(([name, value]) => [name, hashOf(encode(value, "output"))]));
}

/** Told from the key, as the `index` of the context is that of the innermost item. */
function indexOf({ idempotencyKey, run, task }: Seen): readonly number[] {
  const path = idempotencyKey.slice(`${run.id}/${task.id}`.length).replace(/@\d+$/, "");
  return path.split("/").slice(1).map(Number);
}

function failsFirst<Value>({ attempt }: Seen, value: Value): Value {
  if (attempt === 1) throw new Error("not yet");
  return value;
}

/** Fails the first time that it is called for a run, in whichever process. */
function failsOnce<Value>({ folder }: Surroundings, { run }: Seen, value: Value): Value {
  const marker = join(folder, MARKER + run.id);
  if (folder === "" || existsSync(marker)) return value;
  closeSync(openSync(marker, "w"));
  throw new Error("the first pass fails");
}

function fails(): never {
  throw new NonRetryableError("it always fails");
}

/** Finds something when it looks for the second time, which a process that goes on with a run does anew. */
function looksTwice(): (context: Seen) => true | undefined {
  const looks = new Map<string, number>();
  return ({ run }) => {
    const count = (looks.get(run.id) ?? 0) + 1;
    looks.set(run.id, count);
    return count >= 2 ? true : undefined;
  };
}

interface Stepping extends Seen {
  readonly step: <Output>(id: string, run: () => Output | Promise<Output>) => Promise<Output>;
}

/** Three steps, whose effects the witness sees as those of `stepped#1` … */
async function steps({ witness, pass, engine }: Surroundings, { step, run, attempt }: Stepping): Promise<number> {
  let total = 0;
  for (const n of [1, 2, 3]) {
    total += await step(`step-${n}`, () => {
      witness({ runId: run.id, task: `stepped#${n}`, index: [], attempt, engine, phase: "effect", at: Date.now() });
      pass(`step ${n}`);
      return n;
    });
  }
  return total;
}
