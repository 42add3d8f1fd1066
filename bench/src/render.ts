import type { Table } from "./report.js";

const NOTE_WIDTH = 100;

/** A table as a terminal shows it. */
export function asText(table: Table): string {
  const lines = aligned(table).map((cells) => `  ${cells.join("  ")}`.trimEnd());
  const [head, ...rows] = lines;
  return [table.title, "", head, ...rows, ...(table.note ? ["", ...wrapped(table.note)] : [])].join("\n");
}

/** A paragraph in lines, each indented as tables are. */
function wrapped(text: string): string[] {
  const lines = [""];
  for (const word of text.split(" ")) {
    if (lines.at(-1)!.length + word.length > NOTE_WIDTH) lines.push("");
    lines.push(`${lines.pop()!} ${word}`);
  }
  return lines.map((line) => ` ${line}`);
}

/** The same in Markdown, under a heading unless that is there already. */
export function asMarkdown(table: Table): string {
  const [head, ...rows] = aligned(table).map((cells) => `| ${cells.join(" | ")} |`);
  const rule = widths(table).map((width, column) =>
    column < table.textColumns ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
  );
  const lines = [head, `| ${rule.join(" | ")} |`, ...rows];
  return [`### ${table.title}`, "", ...lines, ...(table.note ? ["", table.note] : [])].join("\n");
}

function aligned(table: Table): string[][] {
  const columnWidths = widths(table);
  const align = (cell: string, column: number) =>
    column < table.textColumns ? cell.padEnd(columnWidths[column]!) : cell.padStart(columnWidths[column]!);
  return [table.columns, ...table.rows].map((cells) => cells.map(align));
}

function widths({ columns, rows }: Table): number[] {
  return columns.map((name, column) => Math.max(3, name.length, ...rows.map((cells) => cells[column]!.length)));
}
