import { expect, it } from "vitest";
import { createEngine, memoryStorage, pipeline } from "weftline";
import { withSubPipelines } from "weftline/remote";
import { loadEngineOptions } from "./load-engine.js";

const one = pipeline("one", (p) => {
  p.task("x", () => 1);
});

it.each([
  ["nothing", {}, {}],
  ["options", { engine: { pools: { gpu: 1 } } }, { pools: { gpu: 1 } }],
  ["a function that returns them", { engine: async () => ({ pools: { gpu: 1 } }) }, { pools: { gpu: 1 } }],
])("takes %s", async (_what, exports, expected) => {
  expect(await loadEngineOptions(exports, "p.ts")).toEqual(expected);
});

it("takes a storage, or a function that returns one, before the one of the engine", async () => {
  const [storage, other] = [memoryStorage(), memoryStorage()];
  expect((await loadEngineOptions({ storage }, "p.ts")).storage).toBe(storage);
  expect((await loadEngineOptions({ storage: () => storage, engine: { storage: other } }, "p.ts")).storage).toBe(
    storage,
  );
  expect((await loadEngineOptions({ engine: { storage: other } }, "p.ts")).storage).toBe(other);
});

it.each([
  ["an engine", { engine: createEngine({ pipelines: [one] }) }, "it is an engine. Export its options"],
  ["a text", { engine: "fast" }, "it is no object with options for createEngine()"],
  ["another storage", { storage: {} }, 'Cannot use the export "storage" of p.ts: it is no Storage'],
  ["another storage in the engine", { engine: { storage: "db" } }, 'the storage of "engine" in p.ts'],
  [
    "a function that throws",
    {
      storage: () => {
        throw new Error("no disk");
      },
    },
    "Cannot get the storage of p.ts: no disk",
  ],
])("explains %s", async (_what, exports, expected) => {
  await expect(loadEngineOptions(exports, "p.ts")).rejects.toThrow(expected);
});

it("knows the pipelines that others run", () => {
  const outer = pipeline("outer", (p) => {
    p.run("inner", one);
  });
  expect(withSubPipelines([outer]).map(({ id }) => id)).toEqual(["outer", "one"]);
});
