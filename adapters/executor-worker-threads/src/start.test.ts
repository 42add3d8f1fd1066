import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { createEngine, memoryStorage, type Pipeline, pipeline } from "weftline";
import { type WorkerThreadsOptions, workerThreads } from "./index.js";

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "weftline-threads-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const greet = pipeline("greet", (p) => ({ greeting: p.task("hello", () => "hello") }));
const BUILT_CORE = pathToFileURL(fileURLToPath(new URL("../../../packages/core/dist/index.js", import.meta.url))).href;
const BUILT = new URL("../dist/index.js", import.meta.url).href;
const BUILT_COMMON = fileURLToPath(new URL("../dist/index.cjs", import.meta.url));
const GREET = `import { pipeline } from "${BUILT_CORE}";
export const greet = pipeline("greet", (p) => ({ greeting: p.task("hello", () => "hello") }));`;

let files = 0;
function moduleOf(text: string, extension = "mjs"): URL {
  const file = join(folder, `module-${++files}.${extension}`);
  writeFileSync(file, text);
  return pathToFileURL(file);
}

/** What `engine.start()` fails with. */
async function failureOf(
  module: URL,
  options: Partial<WorkerThreadsOptions> = {},
  pipelines: readonly Pipeline[] = [greet],
): Promise<{ readonly code?: string; readonly message: string }> {
  const executors = { default: workerThreads({ module, maxThreads: 1, ...options }) };
  const engine = createEngine({ pipelines, storage: memoryStorage(), executors, log: SILENT });
  const failure = await engine.start().then(
    () => undefined,
    (error: unknown) => error as Error,
  );
  await engine.stop();
  return failure!;
}

describe("start of worker threads", { timeout: 30_000 }, () => {
  it.each([
    [
      "a module that is not there",
      () => new URL("no-such-module.mjs", pathToFileURL(`${folder}/`)),
      /cannot be loaded/,
    ],
    ["a syntax error", () => moduleOf("export const = 1"), /SyntaxError/],
    ["a module that throws", () => moduleOf(`throw new Error("not today")`), /not today/],
    ["a module without pipelines", () => moduleOf("export const nothing = 1"), /exports no pipeline/],
    ["a module that ends its thread", () => moduleOf("process.exit(5)"), /code 5/],
  ])("F125 %s fails engine.start() with WORKER_START_FAILED", async (_, module, reason) => {
    const { code, message } = await failureOf(module());
    expect(code).toBe("WORKER_START_FAILED");
    expect(message).toMatch(reason);
  });

  it("F125 a module that takes too long fails engine.start(), and its thread is ended", async () => {
    const module = moduleOf("await new Promise(() => setInterval(() => {}, 1000));");
    const { code, message } = await failureOf(module, { startTimeout: 300 });
    expect(code).toBe("WORKER_START_FAILED");
    expect(message).toMatch(/longer than 300 ms/);
  });

  it("resources that cannot be made fail engine.start() with their reason", async () => {
    const module = moduleOf(`${GREET}\nexport const resources = () => { throw new Error("no database"); };`);
    const { code, message } = await failureOf(module);
    expect(code).toBe("RESOURCES_FAILED");
    expect(message).toMatch(/no database/);
  });

  it("EXECUTOR_INVALID names the pipelines that the module does not have, or has in another version", async () => {
    const other = pipeline("other", (p) => void p.task("x", () => 1));
    const missing = await failureOf(moduleOf(GREET), {}, [greet, other]);
    expect([missing.code, missing.message]).toEqual(["EXECUTOR_INVALID", expect.stringMatching(/"other"/)]);
    const changed = pipeline("greet", (p) => ({ greeting: p.task("hi", () => "hi") }));
    const different = await failureOf(moduleOf(GREET), {}, [changed]);
    expect([different.code, different.message]).toEqual(["EXECUTOR_INVALID", expect.stringMatching(/another version/)]);
  });

  it("modules in CommonJS and TypeScript load as well", async () => {
    const common = moduleOf(
      `const { pipeline } = require(${JSON.stringify(fileURLToPath(BUILT_CORE).replace(/\.js$/, ".cjs"))});
      exports.greet = pipeline("greet", (p) => ({ greeting: p.task("hello", () => "hello") }));`,
      "cjs",
    );
    const typed = moduleOf(`${GREET}\nexport const typed: number = 1;`, "ts");
    for (const module of [common, typed]) {
      const executors = { default: workerThreads({ module, maxThreads: 1 }) };
      const engine = createEngine({ pipelines: [greet], executors, log: SILENT });
      expect(await engine.run(greet)).toEqual({ greeting: "hello" });
      await engine.stop();
    }
  });

  it("F140 works without code generation from text, and idle threads let the process end by itself", async () => {
    const module = moduleOf(GREET);
    const host = moduleOf(`
      import { createEngine } from "${BUILT_CORE}";
      import { workerThreads } from "${BUILT}";
      import { greet } from "${module.href}";
      const executors = { default: workerThreads({ module: "${module.href}", maxThreads: 1 }) };
      const engine = createEngine({ pipelines: [greet], executors });
      console.log(JSON.stringify(await engine.run(greet)));`);
    const flags = ["--disallow-code-generation-from-strings", "--max-old-space-size=200"];
    const { stdout, stderr } = await run(process.execPath, [...flags, fileURLToPath(host)], { timeout: 20_000 });
    expect([stdout, stderr]).toEqual([`{"greeting":"hello"}\n`, ""]);
  });

  it("F140 works in a process that was given its program as text", async () => {
    const module = moduleOf(GREET);
    const program = `
      import { createEngine } from "${BUILT_CORE}";
      import { workerThreads } from "${BUILT}";
      import { greet } from "${module.href}";
      const engine = createEngine({ pipelines: [greet], executors: { default: workerThreads({ module: "${module.href}" }) } });
      console.log(JSON.stringify(await engine.run(greet)));
      await engine.stop();`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", program], { timeout: 20_000 });
    expect(stdout).toBe(`{"greeting":"hello"}\n`);
  });

  it("works from CommonJS, and what tasks print does not reach the host's streams", async () => {
    const module = moduleOf(`import { pipeline } from "${BUILT_CORE}";
      export const loud = pipeline("loud", (p) => ({ said: p.task("say", () => { console.log("loud"); return "said"; }) }));`);
    const host = moduleOf(
      `const { createEngine } = require(${JSON.stringify(fileURLToPath(BUILT_CORE).replace(/\.js$/, ".cjs"))});
      const { workerThreads } = require(${JSON.stringify(BUILT_COMMON)});
      import("${module.href}").then(async ({ loud }) => {
        const executors = { default: workerThreads({ module: "${module.href}" }) };
        const engine = createEngine({ pipelines: [loud], executors });
        console.log(JSON.stringify(await engine.run(loud)));
        await engine.stop();
      });`,
      "cjs",
    );
    const { stdout } = await run(process.execPath, [fileURLToPath(host)], { timeout: 20_000 });
    expect(stdout).toBe(`{"said":"said"}\n`);
  });
});
