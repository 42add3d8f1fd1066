import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Storage } from "../contracts/storage.js";
import type { Pipeline } from "../define/pipeline.js";
import { SkipTask } from "../execute/signals.js";
import { startedEngine, stopNow } from "../test-support/engines.js";
import { FaultyStorage } from "../test-support/faulty-storage.js";
import { turnsOfLoop } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { type Attempted, type RandomNode, randomNodes, randomPipelineOf } from "../test-support/random-groups.js";
import { scaled, testStorage } from "../test-support/storages.js";
import type { Engine } from "./engine.js";
import { taskName } from "./errors.js";

leavesNothingBehind();

/** What tasks do, and what they did. */
class World {
  readonly done: string[] = [];
  readonly #failed = new Set<string>();
  isMended = false;
  isSteady = false;

  readonly attempt = async ({ name, doing, turns, signal }: Attempted): Promise<void> => {
    for (let turn = 0; turn < turns; turn++) {
      signal.throwIfAborted();
      await turnsOfLoop(1);
    }
    signal.throwIfAborted();
    if (!this.isMended) this.#misbehave(name, doing);
    this.done.push(name);
  };

  #misbehave(name: string, doing: Attempted["doing"]): void {
    if (doing === "skip") throw new SkipTask("as it likes");
    const fails = doing === "fail" || (doing === "flaky" && !this.isSteady && !this.#failed.has(name));
    if (doing === "flaky") this.#failed.add(name);
    if (fails) throw new Error("broken");
  }
}

interface End {
  readonly status: string;
  readonly tasks: readonly string[];
  readonly result: unknown;
}

async function endOf(engine: Engine, runId: string, work: Pipeline<never, unknown>, world: World): Promise<End> {
  for (let turn = 0; turn < 5_000; turn++) {
    const { status } = await engine.runs.get(runId);
    if (["succeeded", "failed", "cancelled"].includes(status)) return readEnd(engine, runId);
    await turnsOfLoop(1);
  }
  const explanation = JSON.stringify(await engine.runs.explain(runId), null, 1);
  throw new Error(`the run does not end: ${explanation}\n${JSON.stringify({ tasks: work.taskIds, done: world.done })}`);
}

async function readEnd(engine: Engine, runId: string): Promise<End> {
  const { items } = await engine.runs.tasks(runId, {}, { limit: 1_000 });
  const tasks = items.map(
    ({ task, index, status, output }) => `${taskName(task, index)} ${status} ${JSON.stringify(output)}`,
  );
  return { status: (await engine.runs.get(runId)).status, tasks, result: undefined };
}

const started = (work: Pipeline<Record<never, never>, unknown>, storage: Storage) =>
  startedEngine({ pipelines: [work as unknown as Pipeline], storage, random: () => 0, clock: undefined as never });

async function undisturbed(nodes: readonly RandomNode[], isSteady: boolean): Promise<End> {
  const world = new World();
  world.isSteady = isSteady;
  const work = randomPipelineOf(nodes, world.attempt);
  const engine = await started(work, testStorage());
  const run = await engine.trigger(work);
  const end = await endOf(engine, run.id, work as never, world);
  await stopNow(engine, undefined);
  return end;
}

const RUNS = scaled(120);

const interruptions = fc.array(fc.nat({ max: 14 }), { minLength: 1, maxLength: 4 });

describe("a run of groups and mapped groups at a random moment", () => {
  it("whose engine stops goes on with the next and ends as if nothing had been", async () => {
    await fc.assert(
      fc.asyncProperty(randomNodes, interruptions, async (nodes, moments) => {
        const expected = await undisturbed(nodes, false);
        const world = new World();
        const work = randomPipelineOf(nodes, world.attempt);
        const storage = testStorage();
        let engine = await started(work, storage);
        const run = await engine.trigger(work);
        for (const turns of moments) {
          await turnsOfLoop(turns);
          await engine.stop({ grace: 0 });
          engine = await started(work, storage);
        }
        const end = await endOf(engine, run.id, work as never, world);
        await stopNow(engine, undefined);
        expect(end).toEqual(expected);
      }),
      { numRuns: RUNS },
    );
  }, 60_000);

  it("whose engine loses it without knowing does so too", async () => {
    await fc.assert(
      fc.asyncProperty(randomNodes, interruptions, async (nodes, moments) => {
        const expected = await undisturbed(nodes, true);
        const world = new World();
        world.isSteady = true;
        const work = randomPipelineOf(nodes, world.attempt);
        const storage = testStorage();
        const engines = [await started(work, storage)];
        const run = await engines[0]!.trigger(work);
        for (const turns of moments) {
          await turnsOfLoop(turns);
          await storage.releaseLease(engines.at(-1)!.id);
          engines.push(await started(work, FaultyStorage.sharing(storage)));
        }
        const end = await endOf(engines.at(-1)!, run.id, work as never, world);
        for (const engine of engines.reverse()) await stopNow(engine, undefined);
        expect(end).toEqual(expected);
      }),
      { numRuns: RUNS },
    );
  }, 60_000);

  it("that failed goes on after a resume: nothing that succeeded runs again, and all of it succeeds", async () => {
    await fc.assert(
      fc.asyncProperty(randomNodes, fc.nat({ max: 14 }), fc.boolean(), async (nodes, turns, isCancelled) => {
        const world = new World();
        const work = randomPipelineOf(nodes, world.attempt);
        const storage = testStorage();
        let engine = await started(work, storage);
        const run = await engine.trigger(work);
        await turnsOfLoop(turns);
        if (isCancelled) await run.cancel();
        await endOf(engine, run.id, work as never, world);
        if ((await run.status()) !== "succeeded") {
          const { items } = await engine.runs.tasks(run.id, { status: ["succeeded"] }, { limit: 1_000 });
          const before = new Set(items.map(({ task, index }) => [task, ...index].join("/")));
          world.isMended = true;
          world.done.length = 0;
          await engine.runs.resume(run.id);
          await turnsOfLoop(turns);
          await engine.stop({ grace: 0 });
          engine = await started(work, storage);
          const { status, tasks } = await endOf(engine, run.id, work as never, world);
          expect({ status, again: world.done.filter((name) => before.has(name)) }, tasks.join("\n")).toEqual({
            status: "succeeded",
            again: [],
          });
        }
        await stopNow(engine, undefined);
      }),
      { numRuns: RUNS },
    );
  }, 60_000);
});
