import { readFileSync } from "node:fs";
import { dirname, relative } from "node:path";
import { toErrorRecord } from "weftline";
import { describeRecord } from "./errors.js";

interface Place {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly column: number;
}

const LINES_AROUND = 2;

/** Why a file of pipelines cannot be loaded, for people: what is wrong, where, and the code around it. */
export function describeLoadError(thrown: unknown, path: string, cwd: string): string {
  const name = relativeTo(cwd, path);
  const record = toErrorRecord(thrown);
  const syntax = /^ParseError: (.*?)\s*\n\s*(.+):(\d+):(\d+)\s*$/s.exec(record.message);
  if (syntax) {
    const [, problem = "", file = path, line, column] = syntax;
    const place = { file, line: Number(line), column: Number(column) };
    return at(place, `Cannot read ${relativeTo(cwd, file)}: ${problem}`, cwd);
  }
  if (record.code === "MODULE_NOT_FOUND" || record.code === "ERR_MODULE_NOT_FOUND") {
    return `Cannot load ${name}: ${missingModule(record.message, cwd)}`;
  }
  const problem = `Cannot load ${name}: ${describeRecord(record, false).join("\n")}`;
  const place = record.stack === undefined ? undefined : userPlace(record.stack, dirname(path), cwd);
  return place ? at(place, problem, cwd) : problem;
}

function at(place: Place, problem: string, cwd: string): string {
  const where = `  at ${relativeTo(cwd, place.file)}:${place.line}:${place.column}`;
  return [problem, where, ...codeFrame(place)].join("\n");
}

function missingModule(message: string, cwd: string): string {
  const module = /Cannot find (?:module|package) '([^']+)'/.exec(message)?.[1];
  if (module === undefined) return message.split("\n")[0]!;
  const importer = /Require stack:\n- (.+)|imported from (.+)/.exec(message);
  const from = importer ? `, imported by ${relativeTo(cwd, (importer[1] ?? importer[2])!)}` : "";
  const isPackage = !/^[./]|^[A-Za-z]:/.test(module);
  return `there is no module "${module}"${from}.${isPackage ? ` Install it: npm install ${packageOf(module)}` : ""}`;
}

function packageOf(module: string): string {
  return module.split("/", module.startsWith("@") ? 2 : 1).join("/");
}

/**
 * The innermost line of the stack in code of the user's: near the file or where the command was called. jiti keeps
 * lines and columns, and names files by their paths.
 */
function userPlace(stack: string, ...folders: string[]): Place | undefined {
  for (const frame of stack.split("\n")) {
    const [, file, line, column] = /(?:\(|at )((?:\/|[A-Za-z]:\\)[^()]+):(\d+):(\d+)\)?$/.exec(frame.trim()) ?? [];
    if (file === undefined || /[\\/]node_modules[\\/]/.test(file)) continue;
    if (!folders.some((folder) => !relative(folder, file).startsWith(".."))) continue;
    return { file, line: Number(line), column: Number(column) };
  }
  return undefined;
}

function codeFrame({ file, line, column }: Place): string[] {
  const source = readLines(file);
  const first = Math.max(1, line - LINES_AROUND);
  const last = Math.min(source.length, line + LINES_AROUND);
  const gutter = String(last).length;
  const frame: string[] = [];
  for (let number = first; number <= last; number++) {
    frame.push(`  ${number === line ? ">" : " "} ${String(number).padStart(gutter)} | ${source[number - 1]}`.trimEnd());
    if (number === line) frame.push(`    ${" ".repeat(gutter)} | ${" ".repeat(Math.max(0, column - 1))}^`);
  }
  return frame;
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, "utf8").replace(/\t/g, " ").split(/\r?\n/);
  } catch {
    return [];
  }
}

function relativeTo(cwd: string, path: string): string {
  const name = relative(cwd, path);
  return name.startsWith("..") ? path : name;
}
