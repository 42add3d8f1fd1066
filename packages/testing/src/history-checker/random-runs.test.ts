import { describe, expect, it } from "vitest";
import { memoryStorage, type Pipeline, pipeline, SkipTask, seededRandom, TRIGGER_RULES } from "weftline";
import { createTestEngine } from "../test-engine.js";
import { checkHistory } from "./check-history.js";
import { hashOf } from "./hash-of.js";
import type { Evidence, WitnessLine } from "./history.js";
import { recordingStorage } from "./recording-storage.js";
import { shapesOf } from "./shape-of.js";
import { finalStateOf, historiesOf } from "./stored-history.js";

/** More by `WEFTLINE_CHECKER_SEEDS`: 2,500 take a minute. */
const SEEDS = Number(process.env.WEFTLINE_CHECKER_SEEDS ?? 60);
const BEGINNING = Date.UTC(2026, 0, 1);

type Dice = (sides: number) => number;

/** Everything a builder offers that a group's builder does too. */
// biome-ignore lint/suspicious/noExplicitAny: handles of random pipelines have no static types
type Any = any;

type Act = (context: Any) => unknown;

/** A random graph of every kind, under every rule, in which tasks fail, skip themselves and fail once. */
function randomPipeline(dice: Dice, act: (fate: number) => Act): Pipeline {
  let tasks = 0;
  const fill = (builder: Any, size: number, depth: number): void => {
    const nodes: { readonly handle: Any; readonly isBranch: boolean; readonly isList: boolean }[] = [];
    for (let count = 0; count < size; count++) {
      const id = `t${tasks++}`;
      const before = nodes.filter(() => dice(3) === 0);
      const after = before.map(({ handle, isBranch }) =>
        isBranch && dice(2) === 0 ? handle.when(dice(2) === 0 ? "left" : "right") : handle,
      );
      const triggerRule = dice(2) === 0 ? "all-success" : TRIGGER_RULES[dice(TRIGGER_RULES.length)];
      const retry = {
        attempts: 1 + dice(3),
        delay: dice(2) * 1_000,
        backoff: "fixed",
        jitter: dice(2) === 0 ? "none" : "full",
      };
      const options = { after, triggerRule, allowFailure: dice(4) === 0 };
      const kind = dice(depth > 0 ? 8 : 11);
      const lists = nodes.filter(({ isList }) => isList);
      const over =
        lists.length > 0 && dice(2) === 0
          ? lists[dice(lists.length)]!.handle
          : Array.from({ length: dice(4) }, (_, at) => at);
      if (kind < 4) {
        const isList = dice(3) === 0;
        const handle = builder.task(id, { ...options, retry }, isList ? () => [1, 2, 3].slice(dice(4)) : act(dice(10)));
        nodes.push({ handle, isBranch: false, isList });
      } else if (kind === 4) {
        nodes.push({
          handle: builder.map(id, { ...options, retry, over }, act(dice(10))),
          isBranch: false,
          isList: false,
        });
      } else if (kind === 5) {
        nodes.push({
          handle: builder.branch(id, options, () => (dice(2) === 0 ? "left" : "right")),
          isBranch: true,
          isList: false,
        });
      } else if (kind === 6) {
        nodes.push({
          handle: builder.sleep(id, { after, triggerRule, for: 1 + dice(5_000) }),
          isBranch: false,
          isList: false,
        });
      } else if (kind === 7) {
        let looks = 0;
        const probe = () => ++looks > 2;
        nodes.push({
          handle: builder.poll(id, { after, triggerRule, every: 1_000 }, probe),
          isBranch: false,
          isList: false,
        });
      } else {
        const list = dice(2) === 0 ? { over } : {};
        const inside = (inner: Any) => fill(inner, 1 + dice(4), depth + 1);
        const again = { retry: { attempts: 1 + dice(2), delay: 500 } };
        const group = { after, triggerRule, allowFailure: options.allowFailure, ...again, ...list };
        nodes.push({ handle: builder.group(id, group, inside), isBranch: false, isList: false });
      }
    }
  };
  const options = {
    failWhen: dice(2) === 0 ? "any" : "leaves",
    failFast: dice(5) === 0,
    ...(dice(4) === 0 && { timeout: 8_000 }),
  };
  return pipeline("random", options as Any, (p: Any) => void fill(p, 2 + dice(9), 0)) as Pipeline;
}

/** One engine after the other; people cancel, resume and rerun. */
async function live(seed: number): Promise<{ recorded: Evidence; stored: Evidence }> {
  const random = seededRandom(seed);
  const dice: Dice = (sides) => Math.floor(random() * sides);
  let place = 0;
  let now = () => BEGINNING;
  const sequence = () => ++place;
  const recording = recordingStorage(memoryStorage(), { now: () => now(), sequence });
  const witness: WitnessLine[] = [];
  let engine = "none";
  const act =
    (fate: number): Act =>
    ({ run, task, attempt, idempotencyKey }: Any) => {
      const index = indexOf(idempotencyKey, run.id, task.id);
      const facts = { runId: run.id, task: task.id, index, attempt, key: idempotencyKey, engine };
      const saw = (more: Pick<WitnessLine, "phase"> & Partial<WitnessLine>) =>
        witness.push({ ...facts, at: now(), seq: sequence(), ...more });
      saw({ phase: "start" });
      const ends = (outcome: "threw" | "returned", more = {}) => saw({ phase: "end", outcome, ...more });
      const token = `<${idempotencyKey}#${attempt}>`;
      if (fate === 0 || (fate === 1 && attempt === 1)) {
        ends("threw", { errorToken: token });
        throw new Error(token);
      }
      if (fate === 2) {
        ends("threw");
        throw new SkipTask();
      }
      ends("returned", { outputHash: hashOf(`j1:${JSON.stringify(token)}`) });
      return token;
    };
  const pipe = randomPipeline(dice, act);
  const started = (at: number) => {
    const test = createTestEngine({ pipelines: [pipe], storage: recording.storage, seed, now: at });
    engine = test.engine.id;
    now = () => test.clock.now();
    return test;
  };
  let test = started(BEGINNING);
  const { id } = await test.trigger(pipe as Any);
  await test.start();
  for (let takeovers = dice(3); takeovers > 0; takeovers--) {
    await test.advance(dice(4_000));
    await test.stop();
    test = started(test.clock.now() + 1);
    await test.start();
  }
  if (dice(4) === 0) await test.runs.cancel(id).catch(() => {});
  await test.finish(id);
  for (let times = dice(3); times > 0; times--) {
    const { status } = await test.runs.get(id);
    if (dice(2) === 0 && status !== "succeeded") await test.runs.resume(id);
    else await test.runs.rerun(id, { from: pipe.taskIds[dice(pipe.taskIds.length)]!, only: dice(3) === 0 });
    await test.finish(id);
  }
  const at = now();
  const final = await finalStateOf(recording.storage, at);
  const shapes = shapesOf([pipe]);
  const common = { clients: [], faults: [], witness, shapes };
  const told = await historiesOf(recording.storage, [id]);
  await test.stop();
  return {
    recorded: { ...common, source: "recorded", history: recording.history, final },
    stored: { ...common, source: "stored", history: told.history, final: { at, runs: told.runs } },
  };
}

function indexOf(key: string, runId: string, task: string): readonly number[] {
  const path = key.slice(`${runId}/${task}`.length).replace(/@\d+$/, "");
  return path === "" ? [] : path.slice(1).split("/").map(Number);
}

describe("checkHistory() on random runs", () => {
  it("finds nothing, as it happened and as it is stored", { timeout: 120_000 }, async () => {
    const found: string[] = [];
    const times = new Map<number, number>();
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { recorded, stored } = await live(seed);
      for (const [source, evidence] of Object.entries({ recorded, stored })) {
        const { violations, checked } = checkHistory(evidence);
        for (const { invariant, why } of violations) found.push(`seed ${seed}, ${source}: ${invariant}: ${why}`);
        for (const one of checked) times.set(one.invariant, (times.get(one.invariant) ?? 0) + one.times);
      }
    }
    expect(found).toEqual([]);
    for (const invariant of [1, 2, 3, 4, 5, 6, 9, 10, 11, 13, 14, 15, 20, 24, 27, 34, 35, 38]) {
      expect.soft(times.get(invariant) ?? 0, `invariant ${invariant}`).toBeGreaterThan(0);
    }
  });
});
