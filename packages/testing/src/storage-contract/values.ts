import assert from "node:assert/strict";
import type { ErrorRecord, Wait } from "weftline";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import type { StorageFixture } from "./fixture.js";
import {
  artifactRecord,
  attemptRecord,
  ended,
  logRecord,
  metricRecord,
  ODD_TEXTS,
  START,
  taskRecord,
} from "./records.js";

const MEBIBYTE = 2 ** 20;

/** Bytes in which every value and every pair of neighbours occurs. */
function allBytes(): Uint8Array {
  return Uint8Array.from({ length: 65_536 }, (_, n) => (n & 1 ? n >>> 8 : n));
}

export const values: ContractTopic<StorageFixture> = {
  name: "values",
  cases: [
    {
      name: "texts of every kind come back as they were",
      async check(fixture) {
        await fixture.owned("run-1");
        const tasks = ODD_TEXTS.map((text, place) =>
          taskRecord("run-1", place, { output: `j1:${JSON.stringify(text)}`, reason: text, warning: text }),
        );
        const logs = ODD_TEXTS.map((text) => logRecord("run-1", text, { data: `d1:${text}` }));
        const metrics = ODD_TEXTS.map((text, place) => metricRecord("run-1", text, place));
        await fixture.write("run-1", { tasks, logs, metrics });
        assertEqual(await fixture.all("tasks", { runId: "run-1" }), tasks);
        assertEqual(await fixture.all("logs", { runId: "run-1" }), logs);
        assertEqual(await fixture.all("metrics", { runId: "run-1" }), metrics);
      },
    },
    {
      name: "what a task waits for and where its output came from come back as they were",
      async check(fixture) {
        await fixture.owned("run-1");
        const waits: Wait[] = [
          { kind: "sleep", until: START + 9_000 },
          { kind: "poll", until: START + 9_000, probes: 3 },
          { kind: "signal", key: undefined },
          { kind: "signal", key: "order 4711" },
          { kind: "run", runId: "run-2", params: "j1: { }" },
        ];
        const tasks = [
          ...waits.map((wait, place) => taskRecord("run-1", place, { status: "waiting", output: undefined, wait })),
          taskRecord("run-1", 10, { wait: waits[4], warning: "one page was missing" }),
          taskRecord("run-1", 11, { attempts: 0, cachedFrom: "run-0" }),
        ];
        await fixture.write("run-1", { tasks });
        assertEqual(await fixture.all("tasks", { runId: "run-1" }), tasks);
      },
    },
    {
      name: "an output of any format comes back unread and unchanged",
      async check(fixture) {
        await fixture.owned("run-1");
        const outputs = [
          "j1: { }",
          "j1:not even JSON",
          "u1:",
          "d1:[[1]]",
          "z9:from a later version",
          "j1:1e999",
          "j1:0.10",
        ];
        const tasks = outputs.map((output, place) => taskRecord("run-1", place, { output }));
        await fixture.write("run-1", { tasks });
        assertEqual(await fixture.all("tasks", { runId: "run-1" }), tasks);
      },
    },
    {
      name: "error records keep their causes and collected errors",
      async check(fixture) {
        await fixture.owned("run-1");
        const error: ErrorRecord = {
          name: "AggregateError",
          message: "both failed 🪡",
          code: "E_BOTH",
          stack: "AggregateError: both failed\n    at nightly.ts:1:2",
          cause: { name: "Error", message: "", cause: { name: "TypeError", message: "deeper" } },
          errors: [
            { name: "Error", message: "one" },
            { name: "Error", message: "two", code: "2" },
          ],
        };
        const tasks = [taskRecord("run-1", 0, { status: "failed", output: undefined, error })];
        const attempts = [attemptRecord("run-1", 0, 1, { status: "failed", error })];
        await fixture.write("run-1", { run: { ...ended("failed"), error }, tasks, attempts });
        assertEqual((await fixture.run("run-1")).error, error);
        assertEqual(await fixture.all("tasks", { runId: "run-1" }), tasks);
        assertEqual(await fixture.all("attempts", { runId: "run-1" }), attempts);
      },
    },
    {
      name: "metrics keep fractions, NaN and the infinities",
      async check(fixture) {
        await fixture.owned("run-1");
        const numbers = [0, 0.1, -1.5e-300, 1.7976931348623157e308, 2 ** 53, Number.NaN, Infinity, -Infinity];
        await fixture.write("run-1", { metrics: numbers.map((value) => metricRecord("run-1", "m", value)) });
        const stored = await fixture.all("metrics", { runId: "run-1" });
        assertEqual(
          stored.map(({ value }) => value),
          numbers,
        );
      },
    },
    {
      name: "large values come back whole",
      async check(fixture) {
        await fixture.owned("run-1");
        const output = `j1:"${"weft🪡".repeat((4 * MEBIBYTE) / 8)}"`;
        await fixture.write("run-1", { tasks: [taskRecord("run-1", 0, { output })] });
        const [task] = await fixture.all("tasks", { runId: "run-1" });
        assert.ok(task?.output === output, "an output of 4 MiB came back changed");
      },
    },
    {
      name: "getArtifact() gives back the bytes as they were",
      async check(fixture) {
        await fixture.owned("run-1");
        const large = Buffer.alloc(2 * MEBIBYTE, allBytes());
        const artifacts = [
          artifactRecord("run-1", "all", allBytes()),
          artifactRecord("run-1", "none", new Uint8Array(0)),
          artifactRecord("run-1", "large", large, { contentType: "image/png" }),
          // Part of a larger buffer, as slices are.
          artifactRecord("run-1", "part", allBytes().subarray(300, 700)),
        ];
        await fixture.write("run-1", { artifacts });
        for (const { data, ...info } of artifacts) {
          const stored = await fixture.storage.getArtifact("run-1", info.name);
          assert.ok(stored, `there is no artifact "${info.name}"`);
          const { data: bytes, ...rest } = stored;
          assertEqual(rest, info);
          assert.ok(bytes instanceof Uint8Array);
          assert.ok(Buffer.from(data).equals(bytes), `the bytes of "${info.name}" changed`);
        }
      },
    },
    {
      name: "getArtifact() gives the newest of a name, and nothing where there is none",
      async check(fixture) {
        await fixture.owned("run-1", "run-2");
        const report = (text: string) => artifactRecord("run-1", "report", Buffer.from(text));
        await fixture.write("run-1", { artifacts: [report("1"), report("2")] });
        await fixture.write("run-1", { artifacts: [report("3"), report("4")] });
        await fixture.write("run-2", { artifacts: [artifactRecord("run-2", "report", Buffer.from("other"))] });
        const newest = await fixture.storage.getArtifact("run-1", "report");
        assert.equal(Buffer.from(newest!.data).toString(), "4");
        assert.equal((await fixture.all("artifacts", { runId: "run-1" })).length, 4);
        assert.equal(await fixture.storage.getArtifact("run-1", "Report"), undefined);
        assert.equal(await fixture.storage.getArtifact("no-such-run", "report"), undefined);
      },
    },
  ],
};
