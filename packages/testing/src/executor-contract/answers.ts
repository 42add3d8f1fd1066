import assert from "node:assert/strict";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { type ExecutorFixture, outputOf } from "./fixture.js";

/** What tasks give that are asked something: polls, checks, expectations, and those that say what comes next. */
export const answers: ContractTopic<ExecutorFixture> = {
  name: "answers",
  cases: [
    {
      name: "a probe that finds nothing, undefined or false, ends the attempt as not-yet",
      async check(fixture) {
        for (const found of [undefined, false]) {
          assertEqual(await fixture.run("look", { found }), { kind: "not-yet" });
        }
      },
    },
    {
      name: "a probe's every other value is what it found, be it 0, null or an empty text",
      async check(fixture) {
        for (const found of [0, null, "", { file: "a.csv" }]) {
          assertEqual(await fixture.returned("look", { found }), found);
        }
      },
    },
    {
      name: "a check that passes gives its answer, one that does not fails with CHECK_FAILED and what was measured",
      async check(fixture) {
        const passed = await fixture.run("check", { answer: { passed: true, message: "enough", value: 12 } });
        assert.equal((outputOf(passed) as { passed: boolean }).passed, true);
        assert.equal("warning" in passed, false, "a check that passes has no warning");
        const { error } = await fixture.failed("check", { answer: { passed: false, message: "too few", value: 3 } });
        assert.equal(error.code, "CHECK_FAILED");
        assert.match(error.message, /too few.*3/);
      },
    },
    {
      name: "a check of severity warning that does not pass succeeds with a warning in words",
      async check(fixture) {
        const outcome = await fixture.run("check-softly", { answer: { passed: false, message: "too few", value: 3 } });
        assert.equal((outputOf(outcome) as { passed: boolean }).passed, false);
        assert.match(warningOf(outcome), /too few.*3/);
        const passed = await fixture.run("check-softly", { answer: true });
        assert.equal("warning" in passed, false, "a check that passes has no warning");
      },
    },
    {
      name: "a check without an answer fails with CHECK_FAILED, whatever its severity",
      async check(fixture) {
        for (const task of ["check", "check-softly"]) {
          assert.equal((await fixture.failed(task, { answer: undefined })).error.code, "CHECK_FAILED");
        }
      },
    },
    {
      name: "expectations are met by the last value of each metric and by the output",
      async check(fixture) {
        const output = { kind: "succeeded", output: 'j1:{"score":1}' };
        assertEqual(await fixture.run("measure", { rows: 10, score: 1 }), output);
      },
    },
    {
      name: "an expectation of severity error that is not met fails with EXPECTATION_FAILED and what was measured",
      async check(fixture) {
        const { error } = await fixture.failed("measure", { rows: 9, score: 1 });
        assert.equal(error.code, "EXPECTATION_FAILED");
        assert.match(error.message, /rows.*9.*10/);
      },
    },
    {
      name: "an expectation of severity warning that is not met succeeds with a warning in words",
      async check(fixture) {
        const outcome = await fixture.run("measure", { rows: 10, score: 1.5 });
        assertEqual(outputOf(outcome), { score: 1.5 });
        assert.match(warningOf(outcome), /score.*1\.5.*1/);
      },
    },
    {
      name: "a task that starts another run gives that run's params, encoded",
      async check(fixture) {
        const params = { day: new Date(5), rows: [1] };
        const outcome = await fixture.run("start-another", params);
        assertEqual(outputOf(outcome), params);
      },
    },
    {
      name: "a sleep whose length is asked for gives that length",
      async check(fixture) {
        assert.equal(await fixture.returned("pause", { ms: 1_500 }), 1_500);
      },
    },
  ],
};

function warningOf(outcome: object): string {
  const { warning } = outcome as { warning?: unknown };
  assert.equal(typeof warning, "string", `the outcome has no warning: ${JSON.stringify(outcome)}`);
  return warning as string;
}
