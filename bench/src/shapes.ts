/** The shapes that break engines: a long chain, a wide fan-out with a join, a large map; and whether cost is linear. */
import { type Case, compare, costTable, find, type Row, ratio } from "./comparison.js";
import type { ContenderName } from "./contenders.js";
import type { Shape } from "./graphs.js";
import { decimals, type Group, NOT_MEASURED, type Table } from "./report.js";

const SIZES = [10_000, 100_000] as const;
const QUICK_SIZES = [1_000, 5_000] as const;
type Sizes = readonly [small: number, large: number];

const GRAPHS: readonly Shape[] = ["chain", "fan-out and join"];
const GRAPH_CONTENDERS: readonly ContenderName[] = ["weftline", "weftline, async", "p-graph", "bare loop"];
const MAP_CONTENDERS: readonly ContenderName[] = ["weftline map", "weftline map, async", "p-queue", "bare loop"];

export const shapes: Group = {
  name: "shapes",
  title: "Chain, fan-out with a join, map",
  async measure(effort) {
    const sizes = effort.isQuick ? QUICK_SIZES : SIZES;
    const graphs = await compare("shapes", casesOf(GRAPHS, GRAPH_CONTENDERS, sizes), effort);
    const maps = await compare("shapes", casesOf(["independent"], MAP_CONTENDERS, sizes), effort);
    return {
      tables: [
        costTable("A long chain, and a wide fan-out with a join", graphs, "weftline"),
        costTable("One map over a list", maps, "weftline map", MAP_NOTE),
        linearityTable([...graphs, ...maps], sizes),
      ],
      targets: [],
      samples: { graphs, maps },
    };
  },
};

const MAP_NOTE = "p-queue gets as many jobs as the map has items, the bare loop as many tasks without dependencies.";

function casesOf(shapes: readonly Shape[], contenders: readonly ContenderName[], sizes: Sizes): Case[] {
  return shapes.flatMap((shape) =>
    sizes.flatMap((size) => contenders.map((contender) => ({ contender, shape, size }))),
  );
}

function linearityTable(rows: readonly Row[], [small, large]: Sizes): Table {
  const [few, many] = [small.toLocaleString("en"), large.toLocaleString("en")];
  return {
    title: `Linearity: what a task costs among ${many}, beside one among ${few}`,
    columns: ["graph", "contender", `run, µs/task, ${few}`, `run, µs/task, ${many}`, "ratio"],
    textColumns: 2,
    rows: rows.filter(({ size }) => size === small).map((row) => linearityCells(row, rows, large)),
  };
}

function linearityCells(few: Row, rows: readonly Row[], large: number): string[] {
  const many = find(rows, few.contender, few.shape, large);
  const growth = ratio(many, few, (cost) => cost.run);
  const runs = [few, many].map((row) => (row?.cost ? decimals(row.cost.run) : NOT_MEASURED));
  return [few.shape, few.contender, ...runs, typeof growth === "number" ? decimals(growth) : NOT_MEASURED];
}
