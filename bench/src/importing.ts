/** What importing the core adds to the start of a process. */
import { createRequire } from "node:module";
import { run } from "./child.js";
import { progress } from "./progress.js";
import { decimals, type Effort, type Group, inMilliseconds, judge, type Report } from "./report.js";
import { median } from "./statistics.js";

interface Start {
  readonly name: string;
  /** For `node`, up to a program that is empty. */
  readonly options: readonly string[];
  readonly load: string;
}

interface Times {
  readonly empty: number[];
  readonly loaded: number[];
}

const ESM: Start = {
  name: "ES module",
  options: ["--input-type=module", "-e"],
  load: `import ${JSON.stringify(import.meta.resolve("weftline"))};`,
};
const CJS: Start = {
  name: "CommonJS",
  options: ["--input-type=commonjs", "-e"],
  load: `require(${JSON.stringify(createRequire(import.meta.url).resolve("weftline"))});`,
};

/** Starts are short and vary much. */
const STARTS_PER_RUN = 7;
const QUICK_STARTS = 2;
const MOST_MILLISECONDS = 40;

export const importing: Group = {
  name: "import",
  title: "Importing the core",
  async measure(effort) {
    const count = effort.isQuick ? QUICK_STARTS : effort.runs * STARTS_PER_RUN;
    const starts = [ESM, CJS].map((start) => ({ start, times: { empty: [], loaded: [] } satisfies Times as Times }));
    for (let turn = 0; turn < count; turn++) {
      progress(`import: start ${turn + 1} of ${count}`);
      for (const { start, times } of starts) {
        times.empty.push(await startMs(start.options, ""));
        times.loaded.push(await startMs(start.options, start.load));
      }
    }
    return reportOf(starts, count, effort);
  },
};

/** @throws {Error} When the process fails, as nothing can be measured then. */
async function startMs(options: readonly string[], program: string): Promise<number> {
  const start = performance.now();
  const outcome = await run(process.execPath, [...options, program]);
  if (!outcome.ok) throw new Error(`a node process ${outcome.why}`);
  return performance.now() - start;
}

function reportOf(starts: readonly { start: Start; times: Times }[], count: number, effort: Effort): Report {
  const added = ({ empty, loaded }: Times) => median(loaded) - median(empty);
  return {
    tables: [
      {
        title: "Start of a process, ms",
        columns: ["module system", "empty program", "importing the core", "difference"],
        textColumns: 1,
        rows: starts.map(({ start, times }) => [
          start.name,
          ...[median(times.empty), median(times.loaded), added(times)].map(decimals),
        ]),
        note: `Medians of ${count} processes each, in turns.`,
      },
    ],
    targets: starts.map(({ start, times }) =>
      judge(
        { what: `importing the core, ${start.name}`, bound: "under", limit: MOST_MILLISECONDS, show: inMilliseconds },
        added(times),
        effort,
      ),
    ),
    samples: starts,
  };
}
