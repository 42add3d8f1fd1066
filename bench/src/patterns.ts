/** Five patterns of the same number of jobs. */
import { compare, costTable } from "./comparison.js";
import type { ContenderName } from "./contenders.js";
import type { Shape } from "./graphs.js";
import type { Group } from "./report.js";

const JOBS = 10_000;
const QUICK_JOBS = 1_000;

const PATTERNS: readonly Shape[] = ["independent", "chain", "fan-out", "fan-in", "20 layers"];
const CONTENDERS: readonly ContenderName[] = ["weftline", "weftline, async", "p-graph", "p-graph, async", "bare loop"];

export const patterns: Group = {
  name: "patterns",
  title: "Five patterns of jobs",
  async measure(effort) {
    const size = effort.isQuick ? QUICK_JOBS : JOBS;
    const cases = PATTERNS.flatMap((shape) => CONTENDERS.map((contender) => ({ contender, shape, size })));
    const rows = await compare("patterns", cases, effort);
    return {
      tables: [
        costTable(`${size.toLocaleString("en")} jobs`, rows, "weftline", "Each of the 20 layers has 3 dependencies."),
      ],
      targets: [],
      samples: rows,
    };
  },
};
