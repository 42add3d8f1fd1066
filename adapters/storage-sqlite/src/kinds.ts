import type { NewRun } from "weftline";
import type { Connection } from "./connection.js";

/** What runs have in common that are claimed and listed together. */
export interface Kind {
  readonly n: number;
  readonly pipeline: string;
}

/** The number of a kind, which gets one with its first run. To be called in a write. */
export function kindOf(
  connection: Connection,
  { definition, pipeline }: Pick<NewRun, "definition" | "pipeline">,
): number {
  const find = "SELECT n FROM weftline_kinds WHERE definition = ? AND pipeline = ?";
  const add = "INSERT INTO weftline_kinds (definition, pipeline) VALUES (?, ?) RETURNING n";
  const read = (sql: string) => connection.get<{ readonly n: number }>(sql, definition, pipeline);
  return (read(find) ?? read(add)!).n;
}

/** The kinds of these definitions: as a rule one of each. */
export function kindsOf(connection: Connection, definitions: readonly string[]): readonly Kind[] {
  const sql = "SELECT n, pipeline FROM weftline_kinds WHERE definition = ?";
  return [...new Set(definitions)].flatMap((definition) => connection.all<Kind>(sql, definition));
}
