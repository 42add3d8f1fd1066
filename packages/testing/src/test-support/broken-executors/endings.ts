import type { Executor, TaskOutcome } from "weftline";
import { overridden } from "../overridden.js";
import { ends, type Fault, failure } from "./fault.js";

/** Executors that do not end attempts, or themselves, as they should. */
export const ENDING_FAULTS: readonly Fault[] = [
  [
    "does not hand on the abort",
    (inner) => ({
      execute: (job, port) =>
        inner.execute(job, overridden(port, { signal: new AbortController().signal, whenAborted() {} })),
    }),
    "code that heeds its signal ends by itself, long before its grace is over",
  ],
  [
    "waits for code that ignores its signal",
    (inner) => ({
      async execute(job, port) {
        const outcome = await inner.execute(job, port);
        if (outcome.kind !== "abandoned") return outcome;
        await outcome.ended;
        return failure("Error", "late");
      },
    }),
    "code that ignores its signal is ended by force, or abandoned, when its grace is over",
  ],
  [
    "claims to kill and abandons",
    (inner) => ({ supports: { ...inner.supports, killable: true } }),
    "code that ignores its signal is ended by force, or abandoned, when its grace is over",
  ],
  [
    "claims to kill and lets the code go on",
    (inner) => ({
      supports: { ...inner.supports, killable: true },
      async execute(job, port) {
        const outcome = await inner.execute(job, port);
        if (outcome.kind !== "abandoned") return outcome;
        return failure("WeftlineError", "killed", "ABORT_FORCED");
      },
    }),
    "code that ignores its signal is ended by force, or abandoned, when its grace is over",
  ],
  [
    "settles `ended` before the code has ended",
    ends((outcome) => (outcome.kind === "abandoned" ? { ...outcome, ended: Promise.resolve() } : outcome)),
    "code that ignores its signal is ended by force, or abandoned, when its grace is over",
  ],
  [
    "has fewer slots than it says",
    (inner) => {
      let last: Promise<unknown> = Promise.resolve();
      return {
        slots: 2,
        execute(job, port) {
          const outcome = last.then(() => inner.execute(job, port));
          last = outcome;
          return outcome;
        },
      };
    },
    "slots: that many attempts run at once",
  ],
  [
    "has a slot less after each failure",
    (inner) => {
      let free = 100;
      return {
        slots: 2,
        async execute(job, port) {
          if (free <= 0) return new Promise(() => {});
          const outcome = await inner.execute(job, port);
          if (outcome.kind === "failed") free -= 50;
          return outcome;
        },
      };
    },
    "slots: a place is free again after every kind of end",
  ],
  [
    "says nothing sensible about its slots",
    () => ({ slots: 0 }),
    "supports says yes or no to each capability, and slots how many attempts run at once",
  ],
  [
    "leaves a timer for each attempt",
    (inner) => {
      let clock: Parameters<Executor["start"]>[0]["clock"] | undefined;
      return {
        start(host) {
          clock = host.clock;
          return inner.start(host);
        },
        execute(job, port) {
          clock!.timer(clock!.now() + 2_000, () => {});
          return inner.execute(job, port);
        },
      };
    },
    "stop() releases every timer, thread, process and socket",
  ],
  [
    "waits for ever for what ignores its signal when it stops",
    (inner) => {
      const running = new Set<Promise<TaskOutcome>>();
      return {
        execute(job, port) {
          const outcome = Promise.resolve(inner.execute({ ...job, params: 'j1:{"ms":5000}' }, port));
          running.add(outcome);
          return outcome;
        },
        async stop() {
          await Promise.all(running);
        },
      };
    },
    "stop() ends what still runs, by force where it can, and waits no longer than its grace",
  ],
];
