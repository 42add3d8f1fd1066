import type { Fault } from "./fault.js";

/** Stores that go wrong about schedules. */
export const SCHEDULE_FAULTS: readonly Fault[] = [
  [
    "moves a schedule and creates its run in two steps",
    (inner) => ({
      async fire(request) {
        const schedule = (await inner.schedules()).find(({ id }) => id === request.schedule);
        await new Promise(setImmediate);
        if (schedule?.nextAt !== request.expected) return "lost";
        await inner.fire({ ...request, run: undefined });
        if (request.run) await inner.createRuns([request.run]);
        return "fired";
      },
    }),
    "fire() gives one caller the instant however many ask for it at once",
  ],
  [
    "does not move schedules",
    (inner) => ({
      async fire({ run }) {
        if (run) await inner.createRuns([run]);
        return "fired";
      },
    }),
    "fire() moves the schedule and creates its run",
  ],
  [
    "puts every schedule back to its beginning",
    (inner) => ({
      putSchedules: async (schedules) => {
        await inner.putSchedules(schedules.map((schedule) => ({ ...schedule, spec: "" })));
        await inner.putSchedules(schedules);
      },
    }),
    "putSchedules() keeps a schedule whose spec is the same where it stands",
  ],
];
