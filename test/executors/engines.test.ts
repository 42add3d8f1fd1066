import { writeFileSync } from "node:fs";
import { sqliteStorage } from "@weftline/storage-sqlite";
import { expect, it } from "vitest";
import type { Engine } from "weftline";
import * as work from "./engines.pipelines.js";
import { temporaryFiles } from "./files.js";
import { ended, eventually, type Ran, ran, startedUntil, statuses } from "./runs.js";
import * as one from "./versions-one.pipelines.js";
import * as two from "./versions-two.pipelines.js";
import { comparing, engineOn, type Kind, leavesNoWorkers } from "./world.js";

const newFile = temporaryFiles();
const engines: Engine[] = [];
leavesNoWorkers(async () => engines);

const WORK = { module: new URL("./engines.pipelines.ts", import.meta.url), exports: work };
const ONE = { module: new URL("./versions-one.pipelines.ts", import.meta.url), exports: one };
const TWO = { module: new URL("./versions-two.pipelines.ts", import.meta.url), exports: two };

async function engineWith(kind: Kind, file: string, setup: { module: URL; exports: object } = WORK): Promise<Engine> {
  const options = () =>
    ({ storage: sqliteStorage({ file, durability: "normal" }), poll: 50, retention: "1d" }) as const;
  const engine = await engineOn(kind, { ...setup, options });
  engines.push(engine);
  return engine;
}

/** Waits for the end of a run of another engine on this one. */
async function endedOn(engine: Engine, runId: string): Promise<Ran> {
  await eventually(
    async () => ["succeeded", "failed"].includes((await engine.runs.get(runId)).status),
    "the run's end",
  );
  const { pipeline } = await engine.runs.get(runId);
  const run = await engine.runs.get(runId);
  expect(pipeline).toBe(run.pipeline);
  return ended(engine, {
    id: runId,
    status: async () => (await engine.runs.get(runId)).status,
    result: async () => ({}),
  } as Parameters<typeof ended>[1]);
}

const withoutDoor = ({ history }: Ran) => ({ ...history, run: { ...history.run, params: undefined } });

comparing((behaviour) => {
  behaviour("an engine that stops in the middle hands the attempt over: interrupted, not failed", async (kind) => {
    const [file, door] = [newFile("weftline.db"), newFile("door")];
    const first = await engineWith(kind, file);
    const run = await startedUntil(first, work.handedOver, "begins", { door });
    await first.stop({ grace: 0 });
    writeFileSync(door, "");
    const second = await engineWith(kind, file);
    const end = await endedOn(second, run.id);
    expect(end.status).toBe("succeeded");
    expect(end.tasks.after!.output).toEqual([new Date(5), true, [1, 2]]);
    expect(end.lines.filter((line) => line !== "told: ENGINE_STOPPED")).toEqual([
      "before runs",
      "does the step",
      "begins",
      "begins",
    ]);
    expect(end.attempts).not.toContain("long failed");
    expect(end.attempts.filter((attempt) => attempt.startsWith("long"))).toHaveLength(2);
    return withoutDoor(end);
  });

  behaviour(
    "F118 an engine that stops ends a loop that never yields, and hands its attempt over",
    async (kind) => {
      const [file, door] = [newFile("weftline.db"), newFile("door")];
      const first = await engineWith(kind, file);
      const run = await startedUntil(first, work.spinning, "begins", { door });
      await first.stop({ grace: 0 });
      writeFileSync(door, "");
      const end = await endedOn(await engineWith(kind, file), run.id);
      expect([end.status, end.tasks.spins!.output]).toEqual(["succeeded", "through the door"]);
      expect(end.attempts).not.toContain("spins failed");
      return withoutDoor(end);
    },
    ["threads", "processes"],
  );

  behaviour("an engine that stops gracefully lets end what runs, and leaves the rest to the next one", async (kind) => {
    const file = newFile("weftline.db");
    const first = await engineWith(kind, file);
    const run = await startedUntil(first, work.finishing, "begins");
    await first.stop({ grace: "10s" });
    const second = await engineWith(kind, file);
    const end = await endedOn(second, run.id);
    expect(end.attempts).toEqual(["slow succeeded", "next succeeded"]);
    const { items } = await second.runs.attempts(run.id);
    expect(items.map(({ engineId }) => engineId)).toEqual([first.id, second.id]);
    return end.history;
  });

  behaviour("F109 what waits goes on with the next engine: a sleep, a signal and a retry", async (kind) => {
    const file = newFile("weftline.db");
    const first = await engineWith(kind, file);
    const waiting = await startedUntil(first, work.waiting, "begins");
    const retrying = await startedUntil(first, work.retrying, "begins");
    await eventually(async () => (await waiting.status()) === "waiting", "the first waits");
    await eventually(async () => (await retrying.status()) === "waiting", "the second waits");
    await first.stop({ grace: 0 });
    const second = await engineWith(kind, file);
    await second.runs.signal(waiting.id, "answer", new Set(["yes"]));
    const ends = [await endedOn(second, waiting.id), await endedOn(second, retrying.id)];
    expect(ends[0]!.tasks.end!.output).toEqual(new Set(["yes"]));
    expect(ends[1]!.attempts).toEqual(["task failed", "task succeeded"]);
    return ends.map(({ history }) => history);
  });

  behaviour(
    "F44 after a deploy a run of the old version waits for remap(), which goes on with the new code",
    async (kind) => {
      const file = newFile("weftline.db");
      const old = await engineWith(kind, file, ONE);
      const failed = await ran(old, one.nightly);
      await old.stop({ grace: 0 });
      const latest = await engineWith(kind, file, TWO);
      await expect(latest.runs.resume(failed.id)).rejects.toMatchObject({ code: "DAG_CHANGED" });
      const end = await ended(latest, await latest.runs.remap(failed.id, { tasks: { fetch: "get" } }));
      expect(statuses(end)).toEqual({ check: "succeeded", get: "succeeded", load: "succeeded" });
      expect(end.result).toEqual({ load: ["loaded", 1n] });
      expect(end.lines).toEqual(["fetched by version one", "checked by version two"]);
      const { run: _, ...history } = end.history;
      return history;
    },
  );

  behaviour("F199 two versions at once: each engine runs its own code", async (kind) => {
    const file = newFile("weftline.db");
    const [old, latest] = [await engineWith(kind, file, ONE), await engineWith(kind, file, TWO)];
    const [first, second] = await Promise.all([ran(old, one.nightly), ran(latest, two.nightly)]);
    expect([first.status, second.result]).toEqual(["failed", { load: ["loaded", 2n] }]);
    return [first.history, second.history].map(({ run: _, ...history }) => history);
  });
});

it.each(["threads", "processes"] as const)(
  "%s: workers of another version than the engine's fail its start, naming the pipeline",
  async (kind) => {
    const start = engineWith(kind, newFile("weftline.db"), { module: ONE.module, exports: two });
    await expect(start).rejects.toMatchObject({
      code: "EXECUTOR_INVALID",
      message: expect.stringContaining("nightly"),
    });
  },
  60_000,
);
