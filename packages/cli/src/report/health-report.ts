import type { EngineRecord, Survey } from "weftline";
import { type FleetHealth, isAlive } from "../fleet-health.js";
import { jsonLine } from "../json.js";
import { type Colors, count, duration, moment, padEnd, plainLine, shortList } from "../text.js";

const STYLES = {
  green: { symbol: "✓", style: "green" },
  degraded: { symbol: "!", style: "yellow" },
  red: { symbol: "✗", style: "red" },
} as const;

const MAX_ENGINES = 20;
const MAX_RUNS = 3;

/** How the engines on a storage are, for people: the verdict, why, and what there is. */
export function healthReport({ status, reasons, survey, quarantined }: FleetHealth, colors: Colors): string {
  const { symbol, style } = STYLES[status];
  const facts: readonly (readonly [name: string, values: readonly string[]])[] = [
    ["engines", survey === undefined ? [] : engineLines(survey)],
    ["backlog", survey === undefined ? [] : [backlogText(survey)]],
    ["waiting", (survey?.unadoptable ?? []).map(unadoptableText)],
    ["quarantined", quarantined.length === 0 ? [] : [shortList(quarantined, MAX_RUNS)]],
  ];
  const lines = [
    colors[style](`${symbol} ${colors.bold(status)}`),
    ...reasons.map((reason) => {
      const own = STYLES[reason.status];
      return `  ${colors[own.style](own.symbol)} ${plainLine(reason.message)}`;
    }),
    ...facts.flatMap(([name, values]) =>
      values.map((value, row) => `  ${colors.dim(padEnd(row === 0 ? name : "", 11))}  ${value}`),
    ),
  ];
  return `${lines.join("\n")}\n`;
}

/** The same for programs, in one line. */
export function healthJson({ status, reasons, survey, quarantined }: FleetHealth): string {
  const engines = survey?.engines.map((engine) => ({ ...engine, isAlive: isAlive(engine, survey.storeNow) }));
  return jsonLine({ status, reasons, ...survey, engines, quarantined });
}

function engineLines({ engines, storeNow }: Survey): readonly string[] {
  if (engines.length === 0) return ["none"];
  const sorted = [...engines].sort((a, b) => b.leaseUntil - a.leaseUntil);
  const shown = sorted.slice(0, MAX_ENGINES).map((engine) => engineText(engine, storeNow));
  return engines.length > MAX_ENGINES ? [...shown, `… and ${engines.length - MAX_ENGINES} more`] : shown;
}

function engineText(engine: EngineRecord, storeNow: number): string {
  const { id, runs, leaseUntil } = engine;
  const since = duration(Math.abs(storeNow - leaseUntil));
  const state = isAlive(engine, storeNow)
    ? `alive, its lease holds for ${since}`
    : `silent since its lease ran out ${since} ago`;
  return `${plainLine(id)}  ${count(runs, "run")}, ${state}`;
}

function backlogText({ backlog: { runs, oldestAt } }: Survey): string {
  if (runs === 0) return "none";
  return `${count(runs, "run")}${oldestAt === undefined ? "" : `, the oldest due since ${moment(oldestAt)}`}`;
}

function unadoptableText({ pipeline, definition, runs, runIds }: Survey["unadoptable"][number]): string {
  return `${count(runs, "run")} of ${pipeline}, version ${definition}: ${shortList(runIds, MAX_RUNS)}`;
}
