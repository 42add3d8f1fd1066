import assert from "node:assert/strict";
import type { ContractTopic } from "../contract-case.js";
import type { SchedulerFixture } from "./fixture.js";

const HOUR_MS = 3_600_000;

export const stopping: ContractTopic<SchedulerFixture> = {
  name: "stopping",
  cases: [
    {
      name: "stop() leaves no timer",
      async check(fixture) {
        await fixture.start(HOUR_MS);
        await fixture.scheduler.stop();
        assert.equal(fixture.clock.pendingTimers, 0);
      },
    },
    {
      name: "stop() leaves no timer after due() has failed",
      async check(fixture) {
        fixture.onDue = () => Promise.reject(new Error("the store is down"));
        await fixture.start(0);
        await fixture.scheduler.stop();
        assert.equal(fixture.clock.pendingTimers, 0);
      },
    },
    {
      name: "stop() ends all calls of due(), whatever is due or changes later",
      async check(fixture) {
        const start = fixture.clock.now();
        await fixture.start(HOUR_MS);
        await fixture.scheduler.stop();
        const before = fixture.calls.length;
        await fixture.goTo(start + 2 * HOUR_MS);
        fixture.scheduler.changed();
        await fixture.goTo(start + 3 * HOUR_MS);
        assert.equal(fixture.calls.length, before, "due() was called after stop()");
        assert.equal(fixture.clock.pendingTimers, 0);
      },
    },
    {
      name: "stop() waits for a call of due() that is under way",
      async check(fixture) {
        const start = fixture.clock.now();
        let end = () => {};
        await fixture.start(HOUR_MS);
        fixture.onDue = () => new Promise((resolve) => (end = resolve));
        await fixture.expectCallAt(start + HOUR_MS, "the instant");
        let isStopped = false;
        const stopped = fixture.scheduler.stop().then(() => {
          isStopped = true;
        });
        await fixture.settle();
        const wasEarly = isStopped;
        end();
        await stopped;
        assert.equal(wasEarly, false, "stop() settled while due() was under way");
        assert.equal(fixture.clock.pendingTimers, 0);
      },
    },
    {
      name: "stop() while due() is under way lets no other call follow",
      async check(fixture) {
        const start = fixture.clock.now();
        let end = () => {};
        await fixture.start(HOUR_MS);
        fixture.onDue = () => new Promise((resolve) => (end = resolve));
        await fixture.expectCallAt(start + HOUR_MS, "the instant");
        const before = fixture.calls.length;
        fixture.onDue = async () => {};
        fixture.scheduler.changed();
        const stopped = fixture.scheduler.stop();
        fixture.instants = [start + 2 * HOUR_MS];
        end();
        await stopped;
        await fixture.goTo(start + 3 * HOUR_MS);
        assert.equal(fixture.calls.length, before, "due() was called after stop()");
      },
    },
  ],
};
