import assert from "node:assert/strict";
import { encode } from "weftline";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import type { ExecutorFixture } from "./fixture.js";

const encoded = (value: unknown) => encode(value, "output");

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
        const details = { index: [3], item: encoded({ id: 7n }) };
        const seen = (await fixture.returned("describe-item", {}, details)) as { item: unknown; index: number };
        assertEqual([seen.item, seen.index], [{ id: 7n }, 3]);
        const falsy = (await fixture.returned("describe-item", {}, { index: [0], item: encoded(0) })) as {
          item: unknown;
        };
        assert.equal(falsy.item, 0);
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
        const keyOf = async (task: string, runId: string, attempt: number, index: readonly number[] = []) => {
          const seen = await fixture.returned(task, {}, { runId, attempt, index, item: encoded(1) });
          return (seen as { idempotencyKey: string }).idempotencyKey;
        };
        const first = await keyOf("describe", "run-x", 1);
        assert.equal(typeof first, "string");
        assert.equal(await keyOf("describe", "run-x", 2), first);
        const others = [
          await keyOf("describe", "run-y", 1),
          await keyOf("describe-item", "run-x", 1, [0]),
          await keyOf("describe-item", "run-x", 1, [1]),
        ];
        assert.equal(new Set([first, ...others]).size, 4);
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
