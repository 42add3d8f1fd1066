import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ArtifactInfo, ArtifactRecord } from "weftline";
import { UsageError } from "./errors.js";

const MAX_NAME_BYTES = 200;
/** Devices on Windows, whatever their extension. */
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

/** Makes sure of the folder before the run, not after hours of it. @throws {UsageError} */
export function prepareFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw new UsageError(`Cannot write artifacts into ${folder}: ${(cause as Error).message}`, { cause });
  }
}

/** What became of an artifact that was to be written. */
export interface SavedArtifact {
  readonly path: string;
  /** Why it could not be written. */
  readonly problem: string | undefined;
}

/** Writes each artifact into the folder, and nowhere else: its name is what a task made up. */
export async function saveArtifacts(
  artifacts: readonly ArtifactInfo[],
  folder: string,
  read: (name: string) => Promise<ArtifactRecord | undefined>,
): Promise<ReadonlyMap<string, SavedArtifact>> {
  const names = safeFileNames(artifacts.map((artifact) => artifact.name));
  const saved = new Map<string, SavedArtifact>();
  for (const [name, fileName] of names) {
    const artifact = await read(name);
    const path = join(folder, fileName);
    if (artifact !== undefined) saved.set(name, { path, problem: tryWrite(path, artifact.data) });
  }
  return saved;
}

function tryWrite(path: string, data: Uint8Array): string | undefined {
  try {
    writeFileSync(path, data);
    return undefined;
  } catch (cause) {
    return (cause as Error).message;
  }
}

/** A file name for each name, safe on every system and different from all others, also where case does not count. */
export function safeFileNames(names: readonly string[]): ReadonlyMap<string, string> {
  const taken = new Set<string>();
  const fileNames = new Map<string, string>();
  for (const name of names) {
    const base = safeFileName(name);
    let fileName = base;
    for (let copy = 2; taken.has(fileName.toLowerCase()); copy++) fileName = numbered(base, copy);
    taken.add(fileName.toLowerCase());
    fileNames.set(name, fileName);
  }
  return fileNames;
}

function safeFileName(name: string): string {
  const segments = name.split(/[/\\]/).filter((segment) => !/^\.*$/.test(segment));
  const safe = segments
    .join("_")
    .normalize("NFC")
    .replace(/[\p{Cc}\p{Cf}\p{Cs}<>:"/\\|?*]/gu, "_")
    .replace(/^[.\s]+/, (dots) => "_".repeat(dots.length))
    .replace(/[.\s]+$/, "");
  const bounded = boundBytes(safe, MAX_NAME_BYTES);
  return bounded === "" || RESERVED.test(bounded) ? `_${bounded}` : bounded;
}

function boundBytes(name: string, max: number): string {
  if (Buffer.byteLength(name) <= max) return name;
  const extension = /\.[A-Za-z0-9]{1,10}$/.exec(name)?.[0] ?? "";
  let base = name.slice(0, Math.min(max, name.length - extension.length));
  while (Buffer.byteLength(base) + extension.length > max) base = base.slice(0, -1);
  return `${base.toWellFormed().replace(/\ufffd$/, "")}${extension}`;
}

function numbered(name: string, copy: number): string {
  const dot = name.lastIndexOf(".");
  return dot > 0 ? `${name.slice(0, dot)}-${copy}${name.slice(dot)}` : `${name}-${copy}`;
}
