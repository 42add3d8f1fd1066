import { sqliteStorage } from "@weftline/storage-sqlite";
import { expect } from "vitest";
import type { Engine, Pipeline } from "weftline";
import { temporaryFiles } from "./files.js";
import { ended, eventually, ran, started, startedUntil } from "./runs.js";
import * as work from "./sqlite.pipelines.js";
import { everyValue } from "./values.pipelines.js";
import { onEachExecutor } from "./world.js";

const newFile = temporaryFiles();
const setup = {
  module: new URL("./sqlite.pipelines.ts", import.meta.url),
  exports: work,
  options: () =>
    ({
      storage: sqliteStorage({ file: newFile("weftline.db"), durability: "normal" }),
      poll: 50,
      retention: "1d",
    }) as const,
};

const plain: readonly [Pipeline<never, unknown>, string, unknown?][] = [
  [work.flaky, "succeeded"],
  [work.failing, "failed"],
  [work.odd, "succeeded"],
  [work.skipping, "succeeded"],
  [work.stepping, "succeeded"],
  [work.mapping, "succeeded"],
  [work.wide, "succeeded"],
  [work.emptyMap, "succeeded"],
  [work.nested, "succeeded"],
  [work.parent, "succeeded", { n: 3 }],
  [work.parent, "failed", { n: -3 }],
  [work.caching, "succeeded", { key: [1n] }],
  [work.speaking, "succeeded"],
  [work.made, "succeeded"],
];

onEachExecutor(setup, (behaviour) => {
  for (const [pipeline, status, params] of plain) {
    behaviour(`${pipeline.id} ${JSON.stringify(status)}: the same history on SQLite`, async (engine: Engine) => {
      const run = await ran(engine, pipeline, params);
      expect(run.status).toBe(status);
      return run.history;
    });
  }

  behaviour("F66 every value comes whole through a file", async (engine) => {
    const values = everyValue();
    const run = await ran(engine, work.around, { values });
    expect(run.result.fromInput).toStrictEqual(values);
    return run.history;
  });

  behaviour("a key gives the same run", async (engine) => {
    const [one, two] = [
      await started(engine, work.facts, {}, { key: "once" }),
      await started(engine, work.facts, {}, { key: "once" }),
    ];
    expect(two.id).toBe(one.id);
    return (await ended(engine, one)).status;
  });

  behaviour("a signal and a sleep", async (engine) => {
    const run = await startedUntil(engine, work.approving, "asks");
    await eventually(async () => (await run.status()) === "waiting", "the run waits");
    await run.signal("approval", { by: "Cy", at: new Date(0) });
    const approved = await ended(engine, run);
    expect(approved.result).toEqual({ seen: ["Cy", new Date(0)] });
    const slept = await ran(engine, work.sleeping, { ms: 5 });
    return [approved.history, slept.status];
  });
});
