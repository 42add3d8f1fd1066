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

/** In the order in which they are measured and shown. */
export const GROUPS: readonly Group[] = [
  layered,
  shapes,
  patterns,
  oneTask,
  importing,
  idle,
  waiting,
  footprint,
  postgres,
  sqlite,
  recovery,
  history,
];
