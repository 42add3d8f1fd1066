/** A wide DAG: what a task costs, how that grows, and what a large run holds in memory. */
import { type Case, type Cost, compare, compareMemory, costTable, find, type Row, ratio } from "./comparison.js";
import type { ContenderName } from "./contenders.js";
import { type Effort, type Group, inMegabytes, judge, NOT_MEASURED, type Table, type Target, times } from "./report.js";
import { median } from "./statistics.js";

const SIZES = { tiny: 2_000, small: 10_000, large: 100_000, huge: 1_000_000 };
const QUICK_SIZES = { tiny: 200, small: 1_000, large: 5_000, huge: 20_000 };
type Sizes = typeof SIZES;

const MOST_MEMORY = 700_000_000;

export const layered: Group = {
  name: "layered",
  title: "Layered DAG",
  async measure(effort) {
    const sizes = effort.isQuick ? QUICK_SIZES : SIZES;
    const rows = await compare("layered", costCases(sizes, effort), effort);
    const memory = await compareMemory("layered", memoryCases(sizes), effort);
    return {
      tables: [costTable("Layers of 100 tasks, 3 dependencies each", rows, "weftline", NOTE), memoryTable(memory)],
      targets: [...costTargets(rows, sizes, effort), memoryTarget(memory, sizes, effort)],
      samples: { rows, memory },
    };
  },
};

const NOTE =
  "Weftline keeps its whole history in memory; its run is from `trigger()` to the result, its definition is `pipeline()`, `createEngine()` and `start()`. p-graph's definition is its constructor, the lists it takes are made before. p-queue gets the same number of jobs without any graph. The bare loop counts dependencies down over promises and does nothing else. async.auto and flowcraft take more time for each task the larger the graph is, so they are measured at a size of their own and tried once at the large one.";

function costCases({ tiny, small, large, huge }: Sizes, { isQuick }: Effort): Case[] {
  const both: ContenderName[] = ["weftline", "weftline, async", "p-graph", "p-graph, async"];
  const tries: ContenderName[] = isQuick ? [] : ["flowcraft", "async.auto"];
  return [
    ...cases(tiny, ["weftline", "async.auto"]),
    ...cases(small, [...both, "flowcraft", "bare loop"]),
    ...cases(large, [...both, "p-queue", "bare loop"]),
    ...cases(large, tries).map((case_): Case => ({ ...case_, isTry: true })),
    ...cases(huge, ["weftline", "weftline, async", "bare loop"]),
  ];
}

function memoryCases({ large, huge }: Sizes): Case[] {
  return [...cases(large, ["weftline", "p-graph", "bare loop"]), ...cases(huge, ["weftline", "bare loop"])];
}

function cases(size: number, contenders: readonly ContenderName[]): Case[] {
  return contenders.map((contender) => ({ contender, shape: "layered", size }));
}

function costTargets(rows: readonly Row[], { small, large, huge }: Sizes, effort: Effort): Target[] {
  const row = (contender: ContenderName, size: number) => find(rows, contender, "layered", size);
  const run = (cost: Cost) => cost.run;
  const all = (cost: Cost) => cost.define + cost.run;
  const own = row("weftline", large);
  const peer = row("p-graph", large);
  const at = large.toLocaleString("en");
  const faster = { bound: "at least", limit: 4, show: times } as const;
  return [
    judge({ ...faster, what: `faster than p-graph, running ${at} tasks` }, ratio(peer, own, run), effort),
    judge({ ...faster, what: "the same with async tasks" }, asyncRatio(rows, large), effort),
    judge({ ...faster, what: "the same, definition and p-graph's constructor counted" }, ratio(peer, own, all), effort),
    judge(
      { what: `running ${at} tasks, in times of a bare loop`, bound: "at most", limit: 4, show: times },
      ratio(own, row("bare loop", large), run),
      effort,
    ),
    judge(
      {
        what: `a task among ${huge.toLocaleString("en")}, in times of one among ${small.toLocaleString("en")}`,
        bound: "at most",
        limit: 1.3,
        show: times,
      },
      ratio(row("weftline", huge), row("weftline", small), run),
      effort,
    ),
  ];
}

function asyncRatio(rows: readonly Row[], size: number): number | string {
  const peer = find(rows, "p-graph, async", "layered", size);
  return ratio(peer, find(rows, "weftline, async", "layered", size), (cost) => cost.run);
}

function memoryTable(rows: readonly Row[]): Table {
  return {
    title: "Resident memory of the whole process",
    columns: ["contender", "tasks", "most at any time", "after the run", "note"],
    textColumns: 1,
    rows: rows.map(({ contender, size, samples, why }) => {
      const facts = [contender, size.toLocaleString("en")];
      if (why !== undefined) return [...facts, NOT_MEASURED, NOT_MEASURED, why];
      const figures = [samples.map(({ maxRss }) => maxRss), samples.map(({ rss }) => rss)];
      return [...facts, ...figures.map((figure) => inMegabytes(median(figure))), ""];
    }),
    note: "Each in a process of its own that defines the graph and runs it once, with Node's default options.",
  };
}

function memoryTarget(rows: readonly Row[], { huge }: Sizes, effort: Effort): Target {
  const own = find(rows, "weftline", "layered", huge);
  const most = own?.cost ? median(own.samples.map(({ maxRss }) => maxRss)) : (own?.why ?? "not measured");
  const what = `most resident memory, ${huge.toLocaleString("en")} tasks`;
  return judge({ what, bound: "under", limit: MOST_MEMORY, show: inMegabytes }, most, effort);
}
