import type { Scheduler, SchedulerHost } from "weftline";

/** What a broken scheduler does instead of `inner`. */
export type Overrides = (inner: Scheduler) => Partial<Scheduler>;

/** Starts `inner` with another host. */
function hosted(change: (host: SchedulerHost) => SchedulerHost): Overrides {
  return (inner) => ({ start: (host) => inner.start(change(host)) });
}

/** Adapters with one fault each, and the case that finds it. */
export const BROKEN_SCHEDULERS: readonly (readonly [fault: string, overrides: Overrides, caughtBy: string])[] = [
  [
    "waits for the first instant before it looks",
    hosted((host) => {
      let isFirst = true;
      return {
        ...host,
        due: async () => {
          if (!isFirst) await host.due();
          isFirst = false;
        },
        nextDue: async () => Math.max((await host.nextDue()) ?? Infinity, host.clock.now() + 60_000),
      };
    }),
    "due() is called for what is due when the scheduler starts",
  ],
  [
    "calls early and not again",
    hosted((host) => {
      const seen = new Set<number>();
      return {
        ...host,
        nextDue: async () => {
          const next = await host.nextDue();
          if (next === undefined || seen.has(next)) return undefined;
          seen.add(next);
          return next - 1;
        },
      };
    }),
    "due() is called at or after nextDue(), never much later",
  ],
  [
    "polls every five minutes",
    hosted((host) => ({
      ...host,
      nextDue: async () => ((await host.nextDue()) === undefined ? undefined : host.clock.now() + 300_000 + 7_000),
    })),
    "due() is called at or after nextDue(), never much later",
  ],
  [
    "wakes once",
    hosted((host) => {
      let asked = 0;
      return { ...host, nextDue: async () => (++asked > 1 ? undefined : host.nextDue()) };
    }),
    "due() is called for one instant after the other",
  ],
  [
    "waits with setTimeout's limit of 24.8 days",
    hosted((host) => ({
      ...host,
      clock: {
        now: host.clock.now,
        monotonicMs: () => host.clock.monotonicMs(),
        afterTurn: (fire) => host.clock.afterTurn(fire),
        timer: (at, fire) => (at - host.clock.now() > 2 ** 31 ? () => {} : host.clock.timer(at, fire)),
      },
    })),
    "due() is called for an instant months away",
  ],
  [
    "does not listen to changes",
    () => ({ changed() {} }),
    "changed() brings in an instant before the one that is waited for",
  ],
  [
    "ignores changes while it works",
    (inner) => {
      let isWorking = false;
      return {
        start: (host) =>
          inner.start({
            ...host,
            nextDue: async () => {
              isWorking = true;
              const next = await host.nextDue();
              isWorking = false;
              return next;
            },
          }),
        changed() {
          if (!isWorking) inner.changed();
        },
      };
    },
    "changed() is not forgotten while nextDue() is being asked",
  ],
  [
    "gives up after a failure",
    hosted((host) => {
      let hasFailed = false;
      return {
        ...host,
        due: async () => {
          if (hasFailed) return;
          await host.due().catch(() => {
            hasFailed = true;
          });
        },
        nextDue: async () => (hasFailed ? undefined : host.nextDue()),
      };
    }),
    "due() is called again after it failed",
  ],
  [
    "gives up when nextDue() fails",
    hosted((host) => ({ ...host, nextDue: () => host.nextDue().catch(() => undefined) })),
    "due() is called again after nextDue() failed",
  ],
  [
    "lets rejections go unhandled",
    hosted((host) => ({
      ...host,
      due: () => {
        void host.due().then(() => {});
        return Promise.resolve();
      },
    })),
    "due() that fails leaves no rejection behind that nobody handles",
  ],
  ["leaves its timer when it stops", () => ({ stop: async () => {} }), "stop() leaves no timer"],
  [
    "goes on after stop()",
    () => ({ stop: async () => {} }),
    "stop() ends all calls of due(), whatever is due or changes later",
  ],
  [
    "does not wait for a call that is under way",
    (inner) => ({
      async stop() {
        void inner.stop();
      },
    }),
    "stop() waits for a call of due() that is under way",
  ],
  [
    "makes up for a change after stop()",
    (inner) => {
      let host: SchedulerHost | undefined;
      let hasChanged = false;
      return {
        start(given) {
          host = given;
          return inner.start(given);
        },
        changed() {
          hasChanged = true;
        },
        async stop() {
          await inner.stop();
          if (hasChanged) await host!.due();
        },
      };
    },
    "stop() while due() is under way lets no other call follow",
  ],
];
