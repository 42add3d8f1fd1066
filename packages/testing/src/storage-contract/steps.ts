import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { expectMatches, type StorageFixture } from "./fixture.js";
import { assetRecord, ODD_TEXTS, START, stepRecord } from "./records.js";

export const steps: ContractTopic<StorageFixture> = {
  name: "steps and assets",
  cases: [
    {
      name: "list() of steps gives them whole, in the order they were written",
      async check(fixture) {
        await fixture.owned("run-1", "run-2");
        const written = [
          // The order of writing counts, not the moment, the task or the name.
          stepRecord("run-1", "z", { at: START + 500, startedAt: START + 400 }),
          stepRecord("run-1", "b", { task: "task-9", index: [3, 10], attempt: 4 }),
          stepRecord("run-1", "a", { generation: 2 }),
        ];
        await fixture.write("run-1", { steps: written.slice(0, 2) });
        await fixture.write("run-2", { steps: [stepRecord("run-2", "of another run")] });
        await fixture.write("run-1", { steps: written.slice(2) });
        assertEqual(await fixture.all("steps", { runId: "run-1" }), written);
      },
    },
    {
      name: "commit() replaces a step of the same name within its task, index and generation",
      async check(fixture) {
        await fixture.owned("run-1", "run-2");
        const others = [
          stepRecord("run-1", "load", { output: "j1:2", task: "task-1" }),
          stepRecord("run-1", "load", { output: "j1:3", index: [0] }),
          stepRecord("run-1", "load", { output: "j1:4", index: [0, 0] }),
          stepRecord("run-1", "load", { output: "j1:5", generation: 2 }),
          stepRecord("run-1", "Load", { output: "j1:6" }),
        ];
        await fixture.write("run-1", { steps: [stepRecord("run-1", "load", { output: "j1:0" }), ...others] });
        await fixture.write("run-2", { steps: [stepRecord("run-2", "load")] });
        const replacing = stepRecord("run-1", "load", { output: "j1:1", attempt: 2, at: START + 90 });
        await fixture.write("run-1", { steps: [replacing] });
        const stored = await fixture.all("steps", { runId: "run-1" });
        const byOutput = stored.sort((a, b) => (a.output < b.output ? -1 : 1)); // where a replaced one stands is open
        assertEqual(byOutput, [replacing, ...others]);
        assertEqual(await fixture.all("steps", { runId: "run-2" }), [stepRecord("run-2", "load")]);
      },
    },
    {
      name: "list() of steps matches every filter",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.write("run-1", {
          steps: [
            stepRecord("run-1", "a"),
            stepRecord("run-1", "b", { task: "task-1" }),
            stepRecord("run-1", "c", { task: "task-1", index: [1] }),
            stepRecord("run-1", "d", { task: "task-1", index: [1, 0], generation: 2 }),
            stepRecord("run-1", "e", { task: "task-1", index: [10], generation: 2 }),
          ],
        });
        await expectMatches(fixture, "steps", ({ step }) => step, [
          [{ runId: "run-1" }, ["a", "b", "c", "d", "e"]],
          [{ runId: "run-1", task: "task-1" }, ["b", "c", "d", "e"]],
          [{ runId: "run-1", index: [] }, ["a", "b"]],
          [{ runId: "run-1", index: [1] }, ["c"]],
          [{ runId: "run-1", generation: 2 }, ["d", "e"]],
          [{ runId: "run-1", task: "task-1", index: [10], generation: 2 }, ["e"]],
          [{ runId: "run-1", task: "task-0", generation: 2 }, []],
        ]);
      },
    },
    {
      name: "steps and assets of every name come back as they were",
      async check(fixture) {
        await fixture.owned("run-1");
        const texts = ODD_TEXTS.filter((text) => text !== ""); // no step and no asset is without a name
        const written = {
          steps: texts.map((text) => stepRecord("run-1", text, { output: `d1:${text}` })),
          assets: texts.map((text) => assetRecord("run-1", text)),
        };
        await fixture.write("run-1", written);
        assertEqual(await fixture.all("steps", { runId: "run-1" }), written.steps);
        assertEqual(await fixture.all("assets", { runId: "run-1" }), written.assets);
      },
    },
    {
      name: "list() of assets gives each time one was made, in the order they were written, and matches every filter",
      async check(fixture) {
        await fixture.owned("run-1", "run-2");
        const written = [
          assetRecord("run-1", "rows", { at: START + 3 }),
          assetRecord("run-1", "model", { task: "task-1", index: [0], attempt: 2, at: START + 2 }),
          assetRecord("run-1", "rows", { generation: 2, at: START + 1 }),
          assetRecord("run-1", "rows", { task: "task-1", at: START }),
        ];
        await fixture.write("run-1", { assets: written.slice(0, 3) });
        await fixture.write("run-2", { assets: [assetRecord("run-2", "rows")] });
        await fixture.write("run-1", { assets: written.slice(3) });
        assertEqual(await fixture.all("assets", { runId: "run-1" }), written);
        await expectMatches(fixture, "assets", ({ at }) => `${at - START}`, [
          [{ runId: "run-1", asset: "rows" }, ["3", "1", "0"]],
          [{ runId: "run-1", task: "task-1" }, ["2", "0"]],
          [{ runId: "run-1", task: "task-1", asset: "model" }, ["2"]],
          [{ runId: "run-1", task: "task-0", asset: "model" }, []],
        ]);
      },
    },
  ],
};
