import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";

/** Where and with what the figures were measured. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  /** In bytes. */
  readonly memory: number;
  readonly system: string;
  readonly node: string;
  /** Of each package that was measured, as it is installed. */
  readonly versions: Readonly<Record<string, string>>;
}

const PACKAGES = [
  "weftline",
  "p-graph",
  "flowcraft",
  "async",
  "p-queue",
  "@dbos-inc/dbos-sdk",
  "openworkflow",
  "bullmq",
  "pg",
  "@photostructure/sqlite",
  "piscina",
];

export async function describeMachine(): Promise<Machine> {
  const versions = await Promise.all(PACKAGES.map(async (name) => [name, await versionOf(name)] as const));
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memory: totalmem(),
    system: `${process.platform} ${process.arch}`,
    node: process.version,
    versions: Object.fromEntries(versions),
  };
}

/** Not every package exports its package.json, so it is looked for where Node looks for the package. */
async function versionOf(name: string): Promise<string> {
  for (const folder of createRequire(import.meta.url).resolve.paths(name) ?? []) {
    const text = await readFile(join(folder, name, "package.json"), "utf8").catch(() => undefined);
    if (text !== undefined) return (JSON.parse(text) as { version: string }).version;
  }
  return "unknown";
}
