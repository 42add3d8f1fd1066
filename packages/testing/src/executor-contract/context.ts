import assert from "node:assert/strict";
import { encode, type TaskJob } from "weftline";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import type { ExecutorFixture } from "./fixture.js";

const encoded = (value: unknown) => encode(value, "output");

interface ItemFacts {
  readonly item: unknown;
  readonly outer?: unknown;
  readonly index: number;
}

async function keyOf(fixture: ExecutorFixture, task: string, details: Partial<TaskJob>): Promise<string> {
  const items = (details.index ?? []).map(() => encoded(1));
  const seen = await fixture.returned(task, {}, { items, ...details });
  return (seen as { idempotencyKey: string }).idempotencyKey;
}

export const context: ContractTopic<ExecutorFixture> = {
  name: "context",
  cases: [
    {
      name: "the task sees its params and inputs decoded, and no input that does not exist",
      async check(fixture) {
        const params = { day: new Date(5), none: undefined, big: 2n ** 70n, odd: [Number.NaN, -0, Infinity] };
        const input = {
          text: encoded("j1:{}"),
          map: encoded(new Map([[1, { deep: [null] }]])),
          nothing: encoded(undefined),
        };
        const seen = (await fixture.returned("describe", params, { input })) as { input: object; params: unknown };
        assertEqual(seen.params, params);
        assertEqual(seen.input, { text: "j1:{}", map: new Map([[1, { deep: [null] }]]), nothing: undefined });
        assertEqual(Object.keys(seen.input).sort(), ["map", "nothing", "text"]);
      },
    },
    {
      name: "the task of a map sees its item decoded, and its place",
      async check(fixture) {
        const details = { index: [3], items: [encoded({ id: 7n })] };
        const seen = (await fixture.returned("describe-item", {}, details)) as ItemFacts;
        assertEqual([seen.item, seen.index], [{ id: 7n }, 3]);
        const falsy = { index: [0], items: [encoded(0)] };
        assert.equal(((await fixture.returned("describe-item", {}, falsy)) as ItemFacts).item, 0);
      },
    },
    {
      name: "the task of a mapped group sees the group's item; a map in it has items of its own, and the group's as the outer one",
      async check(fixture) {
        const group = { index: [4], items: [encoded("eu")] };
        const inGroup = (await fixture.returned("region.describe", {}, group)) as ItemFacts;
        assertEqual([inGroup.item, inGroup.index], ["eu", 4]);
        const nested = { index: [4, 1], items: [encoded("eu"), encoded(new Date(5))] };
        const inMap = (await fixture.returned("region.describe-item", {}, nested)) as ItemFacts;
        assertEqual([inMap.outer, inMap.item, inMap.index], ["eu", new Date(5), 1]);
      },
    },
    {
      name: "the task sees what is known of its run, itself and its attempt",
      async check(fixture) {
        const run = {
          id: "run-x",
          pipeline: "contract",
          createdAt: 1_000,
          key: "k 🪡",
          tags: ["a", "b"],
          instant: 2_000,
        };
        const seen = (await fixture.returned("describe", {}, { runId: "run-x", run, attempt: 3 })) as Record<
          string,
          unknown
        >;
        assertEqual(seen.run, run);
        assertEqual(seen.attempt, 3);
        assert.equal((seen.task as { id: string }).id, "describe");
      },
    },
    {
      name: "the idempotency key is the same for every attempt, and another for every run, task and item",
      async check(fixture) {
        const first = await keyOf(fixture, "describe", { runId: "run-x" });
        assert.equal(typeof first, "string");
        assert.equal(await keyOf(fixture, "describe", { runId: "run-x", attempt: 2 }), first);
        const others = [
          await keyOf(fixture, "describe", { runId: "run-y" }),
          await keyOf(fixture, "describe-item", { runId: "run-x", index: [0] }),
          await keyOf(fixture, "describe-item", { runId: "run-x", index: [1] }),
          await keyOf(fixture, "region.describe-item", { runId: "run-x", index: [0, 1] }),
          await keyOf(fixture, "region.describe-item", { runId: "run-x", index: [0, 2] }),
          await keyOf(fixture, "region.describe-item", { runId: "run-x", index: [1, 1] }),
        ];
        assert.equal(new Set([first, ...others]).size, 7);
      },
    },
    {
      name: "the idempotency key of a task that is run again is another for every generation, and the same for its attempts",
      async check(fixture) {
        const keys = [];
        for (const generation of [1, 2, 3]) keys.push(await keyOf(fixture, "describe", { runId: "run-x", generation }));
        assert.equal(new Set(keys).size, 3);
        assert.equal(await keyOf(fixture, "describe", { runId: "run-x", generation: 2, attempt: 2 }), keys[1]);
      },
    },
    {
      name: "each attempt has values of its own: what one changes, no other sees",
      async check(fixture) {
        const params = { list: [0] };
        const input = { upstream: encoded({ list: [0, 0] }) };
        const job = fixture.job("change-everything", params, { input });
        for (const _ of ["first", "second"]) {
          const outcome = await fixture.execute(job).outcome;
          assertEqual(outcome, { kind: "succeeded", output: "j1:[2,3]" });
        }
      },
    },
    {
      name: "attempts that run at once do not mix up what they are given",
      async check(fixture) {
        const count = Math.min(fixture.executor.slots, 8);
        for (let round = 0; round < 3; round++) {
          const values = Array.from({ length: count }, (_, n) => `${round}/${n}`);
          assertEqual(await Promise.all(values.map((value) => fixture.returned("echo", value))), values);
        }
      },
    },
  ],
};
