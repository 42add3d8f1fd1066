import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { choosePipeline, loadPipelines } from "./load-pipelines.js";
import { tempProject } from "./testing/temp-project.js";

/** The source of a pipeline with one task. */
const source = (id: string) => `pipeline("${id}", (p) => { p.task("only", () => 1); })`;
const IMPORT = 'import { pipeline } from "weftline";\n';

async function idsIn(files: Record<string, string>, file: string): Promise<string[]> {
  const { pipelines } = await loadPipelines(file, tempProject(files));
  return pipelines.map(({ id }) => id).sort();
}

async function messageOf(files: Record<string, string>, file: string): Promise<string> {
  const folder = tempProject(files);
  const thrown = await loadPipelines(file, folder).catch((error: unknown) => error);
  expect(thrown).toMatchObject({ name: "UsageError" });
  return (thrown as Error).message.replaceAll(folder, "<folder>");
}

describe("loadPipelines()", () => {
  it("loads TypeScript with an enum, satisfies, top-level await and .js specifiers", async () => {
    const files = {
      "pipelines.ts": `
        import { pipeline } from "weftline";
        import { Size, ids } from "./lib/helper.js";
        const id = await Promise.resolve(ids[Size.Large]);
        export const large = pipeline(id, { tags: ["x"] } satisfies { tags: string[] }, (p) => { p.task("only", () => Size.Large); });
      `,
      "lib/helper.ts": 'export enum Size { Small, Large }\nexport const ids: readonly string[] = ["small", "large"];',
    };
    expect(await idsIn(files, "pipelines.ts")).toEqual(["large"]);
  });

  it.each([
    ["ES modules", "p.mjs", `${IMPORT}export const a = ${source("a")};`],
    ["CommonJS", "p.cjs", `const { pipeline } = require("weftline"); module.exports = { a: ${source("a")} };`],
    ["a single CommonJS export", "p.cjs", `const { pipeline } = require("weftline"); module.exports = ${source("a")};`],
    ["a default export", "p.ts", `${IMPORT}export default ${source("a")};`],
    ["a default export of an object", "p.ts", `${IMPORT}export default { a: ${source("a")}, other: 1 };`],
    ["a list", "p.ts", `${IMPORT}export const all = [${source("a")}, 1, null];`],
    [
      "the same pipeline exported twice",
      "p.ts",
      `${IMPORT}export const a = ${source("a")}; export default [a]; export const b = a;`,
    ],
    [
      "beside other exports",
      "p.ts",
      `${IMPORT}export const a = ${source("a")}; export const plan = {}, id = "x", nothing = null;`,
    ],
  ])("finds pipelines in %s", async (_what, file, text) => {
    expect(await idsIn({ [file]: text }, file)).toEqual(["a"]);
  });

  it("takes an absolute path too", async () => {
    const folder = tempProject({ "p.ts": `${IMPORT}export const a = ${source("a")};` });
    const { name, pipelines } = await loadPipelines(join(folder, "p.ts"), join(folder, "elsewhere"));
    expect(pipelines).toHaveLength(1);
    expect(name).toBe(join(folder, "p.ts"));
  });

  it("knows pipelines by their shape, as a project has its own copy of the library", async () => {
    const copy = `export const pipeline = (id) => ({ id, plan: { tasks: [] }, hash: "h", settings: {} });`;
    const files = {
      "package.json": '{"type":"module"}',
      "node_modules/weftline/package.json": '{"name":"weftline","type":"module","exports":"./index.js"}',
      "node_modules/weftline/index.js": copy,
      "p.ts": `${IMPORT}export const a = pipeline("from-copy");`,
    };
    expect(await idsIn(files, "p.ts")).toEqual(["from-copy"]);
  });

  it.each([
    ["a missing file", {}, "nightly.ts"],
    ["a misspelt file", { "nightly.ts": "" }, "nigthly.ts"],
    ["a forgotten extension", { "nightly.ts": "" }, "nightly"],
    ["a folder", { "src/p.ts": "" }, "src"],
    [
      "a syntax error",
      { "p.ts": `${IMPORT}\nexport const a = pipeline("a", (p) => {\n\tp.task("x", () => 1 + );\n});\n` },
      "p.ts",
    ],
    ["a syntax error in an import", { "p.ts": 'export * from "./bad.js";', "bad.ts": "export const = 1;" }, "p.ts"],
    [
      "a definition error",
      {
        "p.ts": `${IMPORT}export const a = pipeline("a", (p) => {\n  p.task("x", () => 1);\n  p.task("x", () => 2);\n});\n`,
      },
      "p.ts",
    ],
    ["code that throws", { "p.ts": 'function boom(): never {\n  throw new Error("no config");\n}\nboom();' }, "p.ts"],
    ["a missing import", { "p.ts": 'export { x } from "./helper.js";' }, "p.ts"],
    ["a missing package", { "p.ts": 'import x from "@scope/none/sub";\nexport const y = x;' }, "p.ts"],
    ["no pipeline", { "p.ts": "export const a = 1, b = [], c = null; export function d() {}" }, "p.ts"],
    ["no export", { "p.ts": "const a = 1;" }, "p.ts"],
    ["an id used twice", { "p.ts": `${IMPORT}export const a = ${source("x")}, b = ${source("x")};` }, "p.ts"],
  ])("explains %s", async (_what, files, file) => {
    expect(`\n${await messageOf(files, file)}\n`).toMatchSnapshot();
  });
});

describe("choosePipeline()", () => {
  const files = {
    "p.ts": `${IMPORT}export const a = pipeline("nightly", { title: "Every night" }, (p) => { p.task("x", () => 1); });
      export const b = ${source("hourly")};`,
  };

  it("takes the one that was named", async () => {
    const loaded = await loadPipelines("p.ts", tempProject(files));
    expect(choosePipeline(loaded, "hourly").id).toBe("hourly");
  });

  it.each([undefined, "nightli", "other"])("lists what there is for %s", async (id) => {
    const loaded = await loadPipelines("p.ts", tempProject(files));
    expect(() => choosePipeline(loaded, id)).toThrowErrorMatchingSnapshot();
  });
});

describe("loadResources()", () => {
  it.each([
    ["an object", "export const resources = { n: 1 };", { n: 1 }],
    ["a function", "export const resources = () => ({ n: 1 });", { n: 1 }],
    ["an async function", "export async function resources() { return { n: 1 }; }", { n: 1 }],
    ["nothing", "", {}],
  ])("takes %s", async (_what, text, expected) => {
    const loaded = await loadPipelines(
      "p.ts",
      tempProject({ "p.ts": `${IMPORT}export const a = ${source("a")};\n${text}` }),
    );
    expect(await loaded.loadResources()).toEqual(expected);
  });

  it.each([
    ["a function that throws", 'export const resources = () => { throw new Error("no database"); };', "no database"],
    ["a text", 'export const resources = "db";', "it is no object"],
  ])("explains %s", async (_what, text, expected) => {
    const loaded = await loadPipelines(
      "p.ts",
      tempProject({ "p.ts": `${IMPORT}export const a = ${source("a")};\n${text}` }),
    );
    await expect(loaded.loadResources()).rejects.toThrow(expected);
  });
});
