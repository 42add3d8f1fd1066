import assert from "node:assert/strict";
import { decode, type Encoded, encode } from "weftline";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { asFailed, type ExecutorFixture, outputOf, passTime, RecordingPort } from "./fixture.js";

const ROWS = { at: new Date(5), ids: [1n, 2n] };
/** Clocks of other machines may be off; a moment since the process started, or in seconds, is found all the same. */
const MAX_SKEW_MS = 3_600_000;

const encoded = (value: unknown) => encode(value, "output");

function keptBy(port: RecordingPort): readonly (readonly [string, unknown])[] {
  return port.heard("step").map(([step, output]) => [step as string, decode(output as Encoded)]);
}

function saidBy(port: RecordingPort): readonly unknown[] {
  return port.heard("log").map(([, message]) => message);
}

export const steps: ContractTopic<ExecutorFixture> = {
  name: "steps",
  cases: [
    {
      name: "each step is kept once under its name, encoded, with the moment it began",
      async check(fixture) {
        const port = new RecordingPort();
        assertEqual(outputOf(await fixture.runOn(port, "do-steps")), { rows: ROWS, size: 2 });
        assertEqual(keptBy(port), [
          ["rows", ROWS],
          ["size", 2],
        ]);
        for (const [, , startedAt] of port.heard("step")) {
          assert.ok(
            Math.abs(Number(startedAt) - Date.now()) < MAX_SKEW_MS,
            `${String(startedAt)} are no epoch milliseconds`,
          );
        }
      },
    },
    {
      name: "a step that an earlier attempt has done is not done again: its kept output is used",
      async check(fixture) {
        const port = new RecordingPort();
        const before = { at: new Date(7), ids: [5n] };
        port.stepsBefore.set("rows", encoded(before));
        assertEqual(outputOf(await fixture.runOn(port, "do-steps")), { rows: before, size: 1 });
        assertEqual(saidBy(port), ["does size", "did both"]);
        assertEqual(keptBy(port), [["size", 1]]);
      },
    },
    {
      name: "a step that gave undefined counts as done",
      async check(fixture) {
        const port = new RecordingPort();
        port.stepsBefore.set("size", encoded(undefined));
        assertEqual(outputOf(await fixture.runOn(port, "do-steps")), { rows: ROWS, size: undefined });
      },
    },
    {
      name: "a step that cannot be looked for is not done, and fails the attempt",
      async check(fixture) {
        const port = new RecordingPort();
        port.onFindStep = () => Promise.reject(new Error("nobody answers"));
        const { error } = asFailed(await fixture.runOn(port, "do-steps"));
        assert.match(error.message, /nobody answers/);
        assertEqual(port.calls, []);
      },
    },
    {
      name: "a step resolves only when it is durable",
      async check(fixture) {
        const port = new RecordingPort();
        let confirm = () => {};
        port.onKeepStep = (step) =>
          step === "size" ? new Promise((resolve) => (confirm = resolve)) : Promise.resolve();
        const { outcome } = fixture.execute(fixture.job("do-steps"), port);
        await port.hears("does size");
        await passTime(50);
        assertEqual(saidBy(port), ["does rows", "does size"]);
        confirm();
        assertEqual(outputOf(await outcome), { rows: ROWS, size: 2 });
      },
    },
    {
      name: "a step that cannot be made durable fails, and so does the attempt",
      async check(fixture) {
        const port = new RecordingPort();
        port.onKeepStep = () => Promise.reject(new Error("nobody keeps this"));
        const { error } = asFailed(await fixture.runOn(port, "do-steps"));
        assert.match(error.message, /nobody keeps this/);
        assertEqual(saidBy(port), ["does rows"]);
      },
    },
    {
      name: "what a step throws fails the attempt and is not kept; the steps before it are",
      async check(fixture) {
        const port = new RecordingPort();
        const { error, retryable } = asFailed(await fixture.runOn(port, "fail-in-step"));
        assertEqual([error.message, retryable], ["the step failed", true]);
        assertEqual(keptBy(port), [["good", "done"]]);
      },
    },
    {
      name: "a step's output that cannot be stored fails with OUTPUT_NOT_SERIALIZABLE, for good",
      async check(fixture) {
        const port = new RecordingPort();
        const { error, retryable } = asFailed(await fixture.runOn(port, "keep-too-much"));
        assertEqual([error.code, retryable, keptBy(port)], ["OUTPUT_NOT_SERIALIZABLE", false, []]);
      },
    },
    {
      name: "steps done at once are kept apart, and each call of one name is a step of its own",
      async check(fixture) {
        const port = new RecordingPort();
        const outputs = outputOf(await fixture.runOn(port, "do-steps-at-once")) as readonly string[];
        assertEqual(outputs, [
          ...["a", "b", "c", "d"].map((id) => `did ${id}`),
          ...[1, 2, 3, 4].map((n) => `did same ${n}`),
        ]);
        const kept = new Map(keptBy(port));
        assert.equal(kept.size, 8, `the names under which they are kept: ${[...kept.keys()].join(", ")}`);
        assertEqual([...kept.values()].sort(), [...outputs].sort());
      },
    },
    {
      name: "steps done at once find what each of them has done before, whatever the order of the answers",
      async check(fixture) {
        const first = new RecordingPort();
        const outputs = outputOf(await fixture.runOn(first, "do-steps-at-once"));
        const later = new RecordingPort();
        for (const [step, output] of first.heard("step").slice(0, 5)) {
          later.stepsBefore.set(step as string, output as Encoded);
        }
        const delays = [40, 35, 30, 25, 20, 15, 10, 5];
        later.onFindStep = () => passTime(delays.shift() ?? 0);
        assertEqual(outputOf(await fixture.runOn(later, "do-steps-at-once")), outputs);
        assert.equal(keptBy(later).length, 3);
      },
    },
    {
      name: "steps of attempts that run at once reach the port of their own attempt",
      async check(fixture) {
        if (fixture.executor.slots < 2) return;
        const [fresh, again] = [new RecordingPort(), new RecordingPort()];
        again.stepsBefore.set("rows", encoded(ROWS)).set("size", encoded(9));
        const outcomes = await Promise.all([fixture.runOn(fresh, "do-steps"), fixture.runOn(again, "do-steps")]);
        assertEqual(outcomes.map(outputOf), [
          { rows: ROWS, size: 2 },
          { rows: ROWS, size: 9 },
        ]);
        assertEqual([keptBy(fresh).length, keptBy(again).length], [2, 0]);
      },
    },
  ],
};
