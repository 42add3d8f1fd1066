import assert from "node:assert/strict";
import type { ContractTopic } from "../contract-case.js";
import { type ExecutorFixture, eventually, within } from "./fixture.js";

const TOLERANCE_MS = 1_500;
const GRACE_MS = 100;
/** More attempts at once than this are not tried. */
const MANY = 6;
/** What comes and goes with the test's own waiting. */
const NOT_RESOURCES: ReadonlySet<string> = new Set(["Timeout", "Immediate"]);

function resources(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const name of process.getActiveResourcesInfo()) {
    if (!NOT_RESOURCES.has(name)) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

function areReleased(before: ReadonlyMap<string, number>): boolean {
  return [...resources()].every(([name, count]) => count <= (before.get(name) ?? 0));
}

export const slotsAndStop: ContractTopic<ExecutorFixture> = {
  name: "slots and stop",
  cases: [
    {
      name: "supports says yes or no to each capability, and slots how many attempts run at once",
      async check({ executor }) {
        const { killable, remote, memoryLimit } = executor.supports;
        for (const flag of [killable, remote, memoryLimit]) assert.equal(typeof flag, "boolean");
        const { slots } = executor;
        assert.ok(slots === Number.POSITIVE_INFINITY || (Number.isInteger(slots) && slots >= 1), `slots is ${slots}`);
      },
    },
    {
      name: "slots: that many attempts run at once",
      async check(fixture) {
        const count = Math.min(fixture.executor.slots, MANY);
        const executions = Array.from({ length: count }, () => fixture.execute(fixture.job("wait")));
        await Promise.all(executions.map(({ port }) => port.hears("waiting")));
        for (const { port } of executions) port.abort();
        await within(TOLERANCE_MS, Promise.all(executions.map(({ outcome }) => outcome)), "all of them to end");
      },
    },
    {
      name: "slots: a place is free again after every kind of end",
      async check(fixture) {
        const count = Math.min(fixture.executor.slots, MANY);
        for (const task of ["echo", "fail", "return-function", "nothing-to-do", "no-such-task", "look", "do-steps"]) {
          await Promise.all(Array.from({ length: count }, () => fixture.run(task)));
        }
        const aborted = Array.from({ length: count }, () => fixture.execute(fixture.job("wait")));
        await Promise.all(aborted.map(({ port }) => port.hears("waiting")));
        for (const { port } of aborted) port.abort();
        await Promise.all(aborted.map(({ outcome }) => outcome));
        assert.equal(await fixture.returned("echo", "alive"), "alive");
      },
    },
    {
      name: "stop() of an executor that never ran anything settles",
      async check(fixture) {
        await within(TOLERANCE_MS, fixture.stop(GRACE_MS), "stop()");
      },
    },
    {
      name: "stop() releases every timer, thread, process and socket",
      async check(fixture) {
        // A second one, so that what the first of a process loads for good is not taken for a leak.
        assert.equal(await fixture.returned("echo", 1), 1);
        const before = resources();
        const second = await fixture.another();
        assert.equal(await second.returned("echo", 1), 1);
        await second.failed("fail");
        await second.stop(GRACE_MS);
        assert.equal(second.clock.pendingTimers, 0, "stop() left timers");
        await eventually(() => areReleased(before), `${[...resources().keys()].join(", ")} to be released`);
      },
    },
    {
      name: "stop() ends what still runs, by force where it can, and waits no longer than its grace",
      async check(fixture) {
        const execution = fixture.execute(fixture.job("ignore", { ms: 800 }, { graceMs: 60_000 }));
        await execution.port.hears("still here");
        await within(GRACE_MS + TOLERANCE_MS, fixture.stop(GRACE_MS), "stop()");
        assert.equal(fixture.clock.pendingTimers, 0, "stop() left timers");
        const patience = fixture.executor.supports.killable ? TOLERANCE_MS : 800 + TOLERANCE_MS;
        await within(patience, execution.outcome, "an attempt that stop() ended");
      },
    },
  ],
};
