import assert from "node:assert/strict";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { type ExecutorFixture, outputOf, RecordingPort } from "./fixture.js";

/** The key under which a task looked for its output, and under which it asks to keep it: the same. */
async function keyOf(fixture: ExecutorFixture, key: unknown): Promise<string> {
  const port = new RecordingPort();
  const outcome = await fixture.runOn(port, "cached", { key });
  assert.equal(outputOf(outcome), "made");
  const asked = port.heard("cache");
  assert.equal(asked.length, 1, "the cache is asked once for each attempt");
  const [cacheKey] = asked[0] as [string];
  assert.equal(typeof cacheKey, "string");
  assertEqual(outcome, { kind: "succeeded", output: 'j1:"made"', cacheKey });
  return cacheKey;
}

export const cache: ContractTopic<ExecutorFixture> = {
  name: "cache",
  cases: [
    {
      name: "what the cache has is taken instead of running the task, with the run it came from",
      async check(fixture) {
        const port = new RecordingPort();
        port.onFindCached = async () => ({ output: 'j1:"from before"', runId: "run-before" });
        const outcome = await fixture.runOn(port, "cached", { key: 1 });
        assertEqual(outcome, { kind: "succeeded", output: 'j1:"from before"', cachedFrom: "run-before" });
        assertEqual(port.heard("log"), []);
      },
    },
    {
      name: "what the cache does not have is made, and comes with the key it was looked for under",
      async check(fixture) {
        await keyOf(fixture, { day: new Date(5), rows: [1, 2n] });
      },
    },
    {
      name: "equal keys of the cache are equal in every run, whatever the order of their properties, and no others are",
      async check(fixture) {
        const key = await keyOf(fixture, { a: 1, b: [new Date(5)] });
        assert.equal(await keyOf(fixture, { b: [new Date(5)], a: 1 }), key);
        const others = [
          await keyOf(fixture, { a: 1, b: [new Date(6)] }),
          await keyOf(fixture, { a: "1", b: [new Date(5)] }),
        ];
        assert.equal(new Set([key, ...others]).size, 3);
      },
    },
    {
      name: "a cache that does not answer costs the work, not the task, and that is logged",
      async check(fixture) {
        const port = new RecordingPort();
        port.onFindCached = () => Promise.reject(new Error("the cache is away"));
        const outcome = await fixture.runOn(port, "cached", { key: 1 });
        assert.equal(outputOf(outcome), "made");
        const [warning, ...others] = port.heard("log").filter(([level]) => level === "warn");
        assert.match(String(warning?.[1]), /the cache is away/);
        assertEqual(others, []);
      },
    },
    {
      name: "a task without a cache asks for nothing",
      async check(fixture) {
        const port = new RecordingPort();
        assertEqual(await fixture.runOn(port, "echo", 1), { kind: "succeeded", output: "j1:1" });
        assertEqual(port.calls, []);
      },
    },
  ],
};
