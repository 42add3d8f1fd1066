// Compiles the harness, as Node 20 reads no TypeScript, and runs it on the built packages.
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import ts from "typescript";

/** By name, with their folders. */
const PACKAGES = {
  weftline: "packages/core",
  "@weftline/testing": "packages/testing",
  "@weftline/storage-sqlite": "adapters/storage-sqlite",
  "@weftline/storage-postgres": "adapters/storage-postgres",
};

const root = fileURLToPath(new URL("../..", import.meta.url));
const test = join(root, "test");
const cache = join(root, "node_modules/.cache");

/** Below `node_modules`, so that dependencies are found as those of installed packages would be. */
function compileAll() {
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "weftline-crash-"));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n');
  for (const name of ["crash", "services"]) compileFolder(join(test, name), join(folder, name));
  copyPackages(join(folder, "node_modules"));
  return folder;
}

/** The processes of one run use one build, whatever is built meanwhile. */
function copyPackages(to) {
  for (const [name, folder] of Object.entries(PACKAGES)) {
    const from = join(root, folder);
    mkdirSync(join(to, name), { recursive: true });
    copyFileSync(join(from, "package.json"), join(to, name, "package.json"));
    cpSync(join(from, "dist"), join(to, name, "dist"), { recursive: true });
  }
}

function compileFolder(from, to) {
  mkdirSync(to);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const path = join(from, entry.name);
    if (entry.isDirectory()) compileFolder(path, join(to, entry.name));
    else if (entry.name.endsWith(".mjs")) copyFileSync(path, join(to, entry.name));
    else if (entry.name.endsWith(".ts") && !entry.name.endsWith(".test.ts")) {
      writeFileSync(join(to, `${basename(entry.name, ".ts")}.js`), compiled(readFileSync(path, "utf8"), entry.name));
    }
  }
}

function compiled(source, fileName) {
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, inlineSourceMap: true };
  return ts.transpileModule(source, { fileName, compilerOptions }).outputText;
}

const folder = compileAll();
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
const { main } = await import(pathToFileURL(join(folder, "crash/main.js")).href);
process.exitCode = await main(process.argv.slice(2));
