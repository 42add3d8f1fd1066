/** What an engine keeps going that has nothing to do. */
import { probe } from "./child.js";
import { progress } from "./progress.js";
import { type Group, judge } from "./report.js";

/** An idle process is to end by itself within this. */
const LIMIT_MS = 20_000;

export const idle: Group = {
  name: "idle",
  title: "An idle engine",
  async measure(effort) {
    progress("idle: one engine without schedules");
    const outcome = await probe("idle", undefined, LIMIT_MS);
    const claim = { what: "timers of an idle engine", bound: "exactly", limit: 0, show: String } as const;
    if (!outcome.ok) return { tables: [], targets: [judge(claim, outcome.why, effort)], samples: outcome };
    const { started, afterRun } = outcome.value;
    return {
      tables: [
        {
          title: "Timers of an engine without schedules",
          columns: ["", "after its start", "after its only run"],
          textColumns: 1,
          rows: [
            ["active", String(started.active), String(afterRun.active)],
            ["those included that let the process end", String(started.all), String(afterRun.all)],
          ],
          note: "The process then ended by itself.",
        },
      ],
      targets: [judge(claim, Math.max(started.active, afterRun.active), effort)],
      samples: outcome.value,
    };
  },
};
