// `node --import ./test/typescript.mjs program.ts` runs a program of this folder, or of one beside it, from its
// source. What it imports by name is what is installed: of this repository's packages, their last build.
import { readFile } from "node:fs/promises";
import { register } from "node:module";
import { fileURLToPath } from "node:url";
import { isMainThread } from "node:worker_threads";

// Hooks run in a thread of their own, which loads this file as well.
if (isMainThread) register(import.meta.url);

const SOURCE = /\.ts$/;
let compiler;

/** Sources name each other by what they are compiled to. */
export async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (error) {
    const isSource = specifier.startsWith(".") && specifier.endsWith(".js") && SOURCE.test(context.parentURL ?? "");
    if (!isSource) throw error;
    return next(`${specifier.slice(0, -2)}ts`, context);
  }
}

export async function load(url, context, next) {
  if (!SOURCE.test(url)) return next(url, context);
  compiler ??= (await import("typescript")).default;
  const { ModuleKind, ScriptTarget } = compiler;
  const { outputText } = compiler.transpileModule(await readFile(fileURLToPath(url), "utf8"), {
    compilerOptions: { module: ModuleKind.ESNext, target: ScriptTarget.ES2023, inlineSourceMap: true },
  });
  return { format: "module", source: outputText, shortCircuit: true };
}
