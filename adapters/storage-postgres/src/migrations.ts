import type { SchemaStep } from "weftline";
import { COMMIT_FUNCTIONS } from "./schema/commit-functions.js";
import { OWNERSHIP_FUNCTIONS } from "./schema/ownership-functions.js";
import { RUN_FUNCTIONS } from "./schema/run-functions.js";
import { TABLES } from "./schema/tables.js";

/**
 * The steps of the schema, oldest first. A step that was published never changes. A new one only adds: the library one
 * version before has to go on working on what the new one makes, so functions carry a version in their names.
 */
const STEPS: readonly Omit<SchemaStep, "version">[] = [
  { name: "tables", sql: TABLES + OWNERSHIP_FUNCTIONS + COMMIT_FUNCTIONS + RUN_FUNCTIONS },
];

/** The version this library works with. */
export const SCHEMA_VERSION = STEPS.length;

/** The tables of the newest version, by which a schema that belongs to somebody else is told. */
export const TABLE_NAMES: readonly string[] = [...TABLES.matchAll(/CREATE TABLE \{schema\}\.(\w+)/g)].map(
  ([, name]) => name!,
);

/** The table that says which steps were made. */
export const VERSIONS = "weftline_schema";

/** The steps after a version, as text for this schema. */
export function stepsFrom(version: number, schema: string): readonly SchemaStep[] {
  return STEPS.map(({ name, sql }, place) => ({ version: place + 1, name, sql: forSchema(sql, schema) })).slice(
    version,
  );
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * Puts the schema's name into a text: `{schema}` becomes its quoted name, `{schema:x}` a literal that names `x` in it.
 * `$$` around function bodies becomes something that is in no name.
 */
export function forSchema(sql: string, schema: string): string {
  const name = quoted(schema);
  let tag = "$weftline$";
  while (name.includes(tag)) tag = `${tag.slice(0, -1)}_$`;
  return sql.replaceAll(/\$\$|\{schema(?::(\w+))?\}/g, (found, part: string | undefined) => {
    if (found === "$$") return tag;
    return part === undefined ? name : literal(`${name}.${part}`);
  });
}

export function literal(text: string): string {
  const escaped = text.replaceAll("'", "''");
  return text.includes("\\") ? ` E'${escaped.replaceAll("\\", "\\\\")}'` : `'${escaped}'`;
}
