import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { LinearModel } from "./model.js";
import { modelFolder } from "./model-store.js";

const model: LinearModel = {
  features: ["a"],
  weights: [0.5],
  intercept: 1,
  trainedFrom: "2001-01-01",
  trainedThrough: "2001-12-31",
};

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "models-"));
});
afterEach(() => rm(folder, { recursive: true }));

it("read() returns undefined before the first deployment", async () => {
  expect(await modelFolder(join(folder, "missing")).read()).toBeUndefined();
});

it("read() returns what write() was given last", async () => {
  const store = modelFolder(join(folder, "new"));
  await store.write({ ...model, intercept: 2 }, { mape: 3 });
  await store.write(model, { mape: 2.6 });
  expect(await store.read()).toEqual(model);
  expect(JSON.parse(await readFile(join(folder, "new/metrics.json"), "utf8"))).toEqual({ mape: 2.6 });
  expect(await readdir(join(folder, "new"))).toEqual(["metrics.json", "model.json"]);
});

it("read() refuses a file that is no model", async () => {
  await writeFile(join(folder, "model.json"), `{"weights": "many"}`);
  await expect(modelFolder(folder).read()).rejects.toThrow("weights");
});
