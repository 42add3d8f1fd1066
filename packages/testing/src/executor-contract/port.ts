import assert from "node:assert/strict";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { type ExecutorFixture, passTime } from "./fixture.js";

const ALL_BYTES = Buffer.from(Uint8Array.from({ length: 256 }, (_, n) => n)).toString("hex");

export const port: ContractTopic<ExecutorFixture> = {
  name: "port",
  cases: [
    {
      name: "what the task says arrives in order, whole, and before the outcome",
      async check(fixture) {
        const execution = fixture.execute(fixture.job("speak"));
        const outcome = await execution.outcome;
        const heard = [...execution.port.calls];
        assertEqual(outcome, { kind: "succeeded", output: 'j1:"said"' });
        assertEqual(heard, [
          ["log", "info", "first", { n: 1 }],
          ["metric", "rows", 1.5],
          ["progress", 0.25, "a quarter"],
          ["artifact", "bytes", "image/png", ALL_BYTES],
          ["artifact", "text", undefined, "two\nlines 🪡"],
          ["log", "error", "last", undefined],
        ]);
      },
    },
    {
      name: "started() is said when the code begins, once, and before all that it says",
      async check(fixture) {
        const execution = fixture.execute(fixture.job("speak"));
        await execution.outcome;
        assertEqual(execution.port.starts, [0]);
        const failing = fixture.execute(fixture.job("fail"));
        await failing.outcome;
        assertEqual(failing.port.starts, [0]);
      },
    },
    {
      name: "what the task says reaches the port of its own attempt",
      async check(fixture) {
        if (fixture.executor.slots < 2) return;
        const [first, second] = [fixture.execute(fixture.job("speak")), fixture.execute(fixture.job("echo"))];
        await Promise.all([first.outcome, second.outcome]);
        assertEqual([first.port.calls.length, second.port.calls.length], [6, 0]);
      },
    },
    {
      name: "what the task says after its end changes nothing, and the next attempt runs as ever",
      async check(fixture) {
        assert.equal(await fixture.returned("speak-late"), "done");
        await passTime(80);
        assert.equal(await fixture.returned("echo", "alive"), "alive");
      },
    },
  ],
};
