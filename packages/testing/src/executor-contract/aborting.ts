import assert from "node:assert/strict";
import type { TaskOutcome } from "weftline";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { type ExecutorFixture, passTime, RecordingPort, within } from "./fixture.js";

/** How much later than the grace an outcome may come: a process may have to be ended. */
const TOLERANCE_MS = 1_000;
const GRACE_MS = 100;
/** How long code goes on that does not heed its signal: longer than anybody may wait for it. */
const STUBBORN_MS = 1_500;

export const aborting: ContractTopic<ExecutorFixture> = {
  name: "aborting",
  cases: [
    {
      name: "code that heeds its signal ends by itself, long before its grace is over",
      async check(fixture) {
        const execution = fixture.execute(fixture.job("wait", {}, { graceMs: 60_000 }));
        await execution.port.hears("waiting");
        execution.port.abort();
        const outcome = await within(TOLERANCE_MS, execution.outcome, "the outcome of code that heeds its signal");
        assert.equal(outcome.kind, "failed");
      },
    },
    {
      name: "an attempt whose signal has aborted before it starts settles too",
      async check(fixture) {
        const port = new RecordingPort();
        port.abort();
        const execution = fixture.execute(fixture.job("wait", {}, { graceMs: GRACE_MS }), port);
        await within(GRACE_MS + TOLERANCE_MS, execution.outcome, "the outcome of an attempt that was aborted before");
      },
    },
    {
      name: "code that ignores its signal is ended by force, or abandoned, when its grace is over",
      async check(fixture) {
        const { supports } = fixture.executor;
        const execution = fixture.execute(fixture.job("ignore", { ms: STUBBORN_MS }, { graceMs: GRACE_MS }));
        await execution.port.hears("still here");
        execution.port.abort();
        const outcome = await within(GRACE_MS + TOLERANCE_MS, execution.outcome, "an outcome after the grace");
        if (supports.killable) return assertKilled(outcome, execution.port);
        assert.equal(outcome.kind, "abandoned");
        if (outcome.kind !== "abandoned") return;
        await within(STUBBORN_MS + TOLERANCE_MS, outcome.ended, "`ended` after the code had ended");
        const said = execution.port.calls.length;
        await passTime(50);
        assert.equal(execution.port.calls.length, said, "`ended` settled before the code had ended");
      },
    },
    {
      name: "without any grace, code that ignores its signal is given up at once",
      async check(fixture) {
        const execution = fixture.execute(fixture.job("ignore", { ms: 500 }, { graceMs: 0 }));
        await execution.port.hears("still here");
        execution.port.abort();
        const outcome = await within(TOLERANCE_MS, execution.outcome, "an outcome without grace");
        assert.equal(outcome.kind === "abandoned", !fixture.executor.supports.killable);
        if (outcome.kind === "abandoned") await outcome.ended;
      },
    },
    {
      name: "killable: code that blocks its thread is ended by force",
      async check(fixture) {
        if (!fixture.executor.supports.killable) return;
        const execution = fixture.execute(fixture.job("block", { ms: 60_000 }, { graceMs: GRACE_MS }));
        await execution.port.hears("blocking");
        execution.port.abort();
        const outcome = await within(GRACE_MS + TOLERANCE_MS, execution.outcome, "the end of code that blocks");
        assert.equal(outcome.kind === "failed" && outcome.error.code, "ABORT_FORCED");
        assert.equal(await fixture.returned("echo", "alive"), "alive");
      },
    },
    {
      name: "an abort after the end changes nothing",
      async check(fixture) {
        const execution = fixture.execute(fixture.job("echo", "done"));
        const outcome = await execution.outcome;
        // A worker that ends with its attempt may have one of its own, for a while.
        const before = fixture.clock.pendingTimers;
        execution.port.abort();
        await passTime(20);
        assertEqual(await execution.outcome, outcome);
        assert.ok(fixture.clock.pendingTimers <= before, "the abort of an ended attempt left a timer");
        assert.equal(await fixture.returned("echo", "alive"), "alive");
      },
    },
    {
      name: "an attempt that was aborted leaves the others alone",
      async check(fixture) {
        if (fixture.executor.slots < 2) return;
        const [aborted, other] = [
          fixture.execute(fixture.job("wait", {}, { graceMs: GRACE_MS })),
          fixture.execute(fixture.job("wait")),
        ];
        await Promise.all([aborted.port.hears("waiting"), other.port.hears("waiting")]);
        aborted.port.abort();
        await aborted.outcome;
        const first = await Promise.race([other.outcome, passTime(GRACE_MS * 2).then(() => "still waiting")]);
        assert.equal(first, "still waiting");
        other.port.abort();
        await within(TOLERANCE_MS, other.outcome, "the other attempt");
      },
    },
  ],
};

async function assertKilled(outcome: TaskOutcome, port: RecordingPort): Promise<void> {
  assert.equal(outcome.kind, "failed", "supports.killable is true, and the attempt was not ended");
  if (outcome.kind === "failed") assert.equal(outcome.error.code, "ABORT_FORCED");
  const said = port.calls.length;
  await passTime(100);
  assert.equal(port.calls.length, said, "supports.killable is true, and the code went on after the outcome");
}
