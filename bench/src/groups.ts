import { footprint } from "./footprint.js";
import { idle } from "./idle.js";
import { importing } from "./importing.js";
import { layered } from "./layered.js";
import { oneTask } from "./one-task.js";
import { patterns } from "./patterns.js";
import type { Group } from "./report.js";
import { shapes } from "./shapes.js";
import { waiting } from "./waiting.js";

/** In the order in which they are measured and shown. */
export const GROUPS: readonly Group[] = [layered, shapes, patterns, oneTask, importing, idle, waiting, footprint];
