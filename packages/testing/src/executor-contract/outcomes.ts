import assert from "node:assert/strict";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { ODD_THROW_NAMES } from "../contract-pipelines.js";
import { type ExecutorFixture, MAX_BYTES } from "./fixture.js";

export const outcomes: ContractTopic<ExecutorFixture> = {
  name: "outcomes",
  cases: [
    {
      name: "execute() gives what the function returned, encoded",
      async check(fixture) {
        const value = { a: [1, "two", null], at: new Date(5), map: new Map([["k", new Set([1n])]]), none: undefined };
        assertEqual(await fixture.returned("echo", value), value);
        assertEqual(await fixture.run("echo", { plain: [1] }), { kind: "succeeded", output: 'j1:{"plain":[1]}' });
      },
    },
    {
      name: "execute() tells an error with its name, message, code and causes, as data",
      async check(fixture) {
        const { error, retryable, retryAfterMs } = await fixture.failed("fail");
        assertEqual([retryable, retryAfterMs], [true, undefined]);
        assertEqual([error.name, error.message, error.code], ["RangeError", "it failed 🪡", "E_FAILED"]);
        assertEqual([error.cause?.name, error.cause?.message], ["TypeError", "the cause"]);
        assert.equal(error.cause?.cause?.message, "the cause's cause");
        assert.ok(error.stack?.includes("it failed"), "the stack is part of the record");
        assertEqual(structuredClone(error), error);
      },
    },
    {
      name: "execute() never rejects, whatever the code throws",
      async check(fixture) {
        for (const what of ODD_THROW_NAMES) {
          const { error } = await fixture.failed("throw-oddly", { what });
          assert.equal(typeof error.message, "string", what);
        }
      },
    },
    {
      name: "execute() says that a NonRetryableError is not worth another attempt",
      async check(fixture) {
        const { error, retryable } = await fixture.failed("give-up");
        assertEqual([retryable, error.name, error.message], [false, "NonRetryableError", "there is no point"]);
      },
    },
    {
      name: "execute() asks retry.when where the task ran",
      async check(fixture) {
        assert.equal((await fixture.failed("not-worth-it")).retryable, false);
      },
    },
    {
      name: "execute() hands on the delay that RetryAfter asks for",
      async check(fixture) {
        const { retryable, retryAfterMs } = await fixture.failed("ask-later");
        assertEqual([retryable, retryAfterMs], [true, 30_000]);
      },
    },
    {
      name: "execute() gives SkipTask as skipped, with its reason",
      async check(fixture) {
        assertEqual(await fixture.run("nothing-to-do"), { kind: "skipped", reason: "nothing new" });
      },
    },
    {
      name: "execute() skips a task whose condition does not hold",
      async check(fixture) {
        assert.equal((await fixture.run("conditional")).kind, "skipped");
      },
    },
    {
      name: "execute() refuses an output that cannot be stored with OUTPUT_NOT_SERIALIZABLE, for good",
      async check(fixture) {
        const { error, retryable } = await fixture.failed("return-function");
        assertEqual([error.code, retryable], ["OUTPUT_NOT_SERIALIZABLE", false]);
        assert.match(error.message, /nested/);
      },
    },
    {
      name: "execute() refuses an output over the host's limits with OUTPUT_TOO_LARGE, for good",
      async check(fixture) {
        const fits = await fixture.returned("return-much", { length: MAX_BYTES - 100 });
        assert.equal((fits as string).length, MAX_BYTES - 100);
        const { error, retryable } = await fixture.failed("return-much", { length: MAX_BYTES + 1 });
        assertEqual([error.code, retryable], ["OUTPUT_TOO_LARGE", false]);
      },
    },
    {
      name: "execute() refuses a branch's choice that is no text with BRANCH_INVALID, for good",
      async check(fixture) {
        const { error, retryable } = await fixture.failed("choose");
        assertEqual([error.code, retryable], ["BRANCH_INVALID", false]);
      },
    },
    {
      name: "execute() of a task that is not known fails with TASK_NOT_FOUND, for good",
      async check(fixture) {
        for (const details of [{}, { pipeline: "no-such-pipeline" }]) {
          const { error, retryable } = await fixture.failed("no-such-task", {}, details);
          assertEqual([error.code, retryable], ["TASK_NOT_FOUND", false]);
        }
        const { error } = await fixture.failed("echo", {}, { pipeline: "no-such-pipeline" });
        assert.equal(error.code, "TASK_NOT_FOUND");
      },
    },
    {
      name: "execute() runs no code of another definition than the job's: DAG_CHANGED, for good",
      async check(fixture) {
        const { error, retryable } = await fixture.failed("echo", {}, { definition: "of another version" });
        assertEqual([error.code, retryable], ["DAG_CHANGED", false]);
      },
    },
    {
      name: "execute() keeps tasks of one name in different pipelines apart",
      async check(fixture) {
        assert.equal(await fixture.returned("echo", "own"), "own");
        assert.equal(await fixture.returned("echo", "own", { pipeline: "contract-twin" }), "the twin's");
      },
    },
  ],
};
