import { fibo } from "./executors/fibo.js";
import { processes } from "./executors/processes.js";
import { threads } from "./executors/threads.js";
import { footprint } from "./footprint.js";
import { history } from "./history.js";
import { idle } from "./idle.js";
import { importing } from "./importing.js";
import { layered } from "./layered.js";
import { oneTask } from "./one-task.js";
import { patterns } from "./patterns.js";
import { postgres } from "./postgres.js";
import { recovery } from "./recovery.js";
import type { Group } from "./report.js";
import { shapes } from "./shapes.js";
import { sqlite } from "./sqlite.js";
import { waiting } from "./waiting.js";

/** Groups that are measured together and shown on one page. */
export interface Page {
  readonly title: string;
  /** In `docs`. */
  readonly file: string;
  readonly groups: readonly Group[];
}

/** In the order in which they are measured and shown. */
export const PAGES: readonly Page[] = [
  {
    title: "Benchmarks",
    file: "benchmarks.md",
    groups: [layered, shapes, patterns, oneTask, importing, idle, waiting, footprint],
  },
  {
    title: "Benchmarks of durable storage",
    file: "benchmarks-storage.md",
    groups: [postgres, sqlite, recovery, history],
  },
  {
    title: "Benchmarks of executors",
    file: "benchmarks-executors.md",
    groups: [fibo, threads, processes],
  },
];

export const GROUPS: readonly Group[] = PAGES.flatMap(({ groups }) => groups);
