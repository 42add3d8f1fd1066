import { isRunFinished, type RunInfo } from "weftline";
import { cell, paint, type Span, type Style } from "../progress/line.js";
import { STATUS_STYLES } from "../progress/status-style.js";
import { type Colors, duration, moment, plainLine, widest } from "../text.js";

const MAX_KEY_WIDTH = 24;

interface Cell {
  readonly text: string;
  readonly style?: Style;
}

/** Runs as a table; columns that none of them fills are left out. */
export function runsTable(runs: readonly RunInfo[], now: number, columns: number, colors: Colors): string {
  if (runs.length === 0) return "No runs.\n";
  const heads = ["run", "pipeline", "status", "when", "took", "key", "tags"];
  const rows = runs.map((run) => cellsOf(run, now));
  const kept = heads.map((_, column) => rows.some((row) => row[column]!.text !== ""));
  const widths = heads.map((head, column) => {
    const wanted = widest([head, ...rows.map((row) => row[column]!.text)]);
    return head === "key" ? Math.min(wanted, MAX_KEY_WIDTH) : wanted;
  });
  const table: readonly (readonly Cell[])[] = [heads.map((text) => ({ text, style: "dim" as const })), ...rows];
  // In a pipe nothing has to fit.
  const width = colors.isColorSupported ? columns : Number.POSITIVE_INFINITY;
  const lines = table.map((row) => {
    const spans = row.flatMap(({ text, style }, column): Span[] =>
      kept[column] ? [cell(text, widths[column]!, style), { text: "  " }] : [],
    );
    return paint(spans, Math.min(width, 10_000), colors);
  });
  return `${lines.join("\n")}\n`;
}

function cellsOf(run: RunInfo, now: number): readonly Cell[] {
  const { symbol, style } = STATUS_STYLES[run.status];
  return [
    { text: run.id },
    { text: run.pipeline },
    { text: `${symbol} ${run.status}`, style },
    { text: moment(run.startedAt ?? run.createdAt) },
    { text: took(run, now) },
    { text: plainLine(run.key ?? "") },
    { text: run.tags.map(plainLine).join(" ") },
  ];
}

/** How long a run took, or has taken so far. */
export function took({ status, startedAt, finishedAt }: RunInfo, now: number): string {
  if (startedAt === undefined) return "";
  return isRunFinished(status)
    ? duration((finishedAt ?? startedAt) - startedAt)
    : `${duration(now - startedAt)} so far`;
}
