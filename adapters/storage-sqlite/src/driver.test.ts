import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { openHandle } from "./driver.js";
import { ScriptProcess } from "./test-support/processes.js";
import { newFile, newRun, openRaw, openStorage } from "./test-support/store.js";

const hasBuiltIn = process.getBuiltinModule("node:sqlite") !== undefined;
const packageFolder = fileURLToPath(new URL("..", import.meta.url));
const core = fileURLToPath(new URL("../../../packages/core", import.meta.url));

/** Opens a database from an installation of its own, in which there are these packages beside ours. */
async function openInstalled(driver: string | undefined, packages: Record<string, Record<string, string>>) {
  const modules = join(dirname(newFile()), "node_modules");
  const own = join(modules, "@weftline/storage-sqlite");
  mkdirSync(own, { recursive: true });
  cpSync(join(packageFolder, "dist"), join(own, "dist"), { recursive: true });
  cpSync(join(packageFolder, "package.json"), join(own, "package.json"));
  symlinkSync(core, join(modules, "weftline"), "junction");
  for (const [name, files] of Object.entries(packages)) {
    mkdirSync(join(modules, name), { recursive: true });
    for (const [file, text] of Object.entries(files)) writeFileSync(join(modules, name, file), text);
  }
  const script = `
    const installed = await import(${JSON.stringify(join(own, "dist/index.js"))});
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    try {
      const storage = installed.sqliteStorage({ file: args[0], driver: ${JSON.stringify(driver)} });
      await storage.open({ log, now: Date.now });
      await storage.close();
      console.log("open");
    } catch (error) {
      console.log(error.message);
    }
  `;
  const { lines, complaints } = await new ScriptProcess(script, join(dirname(modules), "weftline.db")).ended;
  return `${lines.join("\n")}${complaints}`;
}

describe("the driver", () => {
  it("is found by itself, and is quiet", async () => {
    const { lines, complaints } = await new ScriptProcess(
      `await (await openStorage(args[0])).close(); console.log("open");`,
      newFile(),
    ).ended;
    expect([lines, complaints]).toEqual([["open"], ""]);
  });

  it("may be a function that opens a database, which is closed with the storage", async () => {
    const close = vi.fn();
    const driver = async (file: string) => {
      const database = openRaw(file);
      return { exec: database.exec.bind(database), prepare: database.prepare.bind(database), close };
    };
    const storage = await openStorage({ file: newFile(), driver });
    await storage.createRuns([newRun("run-1")]);
    expect(storage.holdLease, "no thread can call the function").toBeUndefined();
    expect(close).not.toHaveBeenCalled();
    await storage.close();
    expect(close).toHaveBeenCalledOnce();
  });

  it("that is not known is refused by its name", async () => {
    await expect(openHandle("sqlite3" as never, "a.db")).rejects.toThrow(/^DRIVER_MISSING: .*"sqlite3".*"node:sqlite"/);
  });

  it.each(["@photostructure/sqlite", "better-sqlite3"])(
    "%s is asked for by its name when it is missing",
    async (name) => {
      const said = await openInstalled(name, {});
      expect(said).toMatch(`DRIVER_MISSING: The driver ${name} was not found. Install it with \`npm install ${name}\``);
    },
  );

  it.skipIf(hasBuiltIn)("is asked for when there is none, and when this Node has none built in", async () => {
    const said = await openInstalled(undefined, {});
    expect(said).toMatch(/^DRIVER_MISSING: No driver.*has no node:sqlite.*npm install @photostructure\/sqlite/);
    const builtIn = await openInstalled("node:sqlite", {});
    expect(builtIn).toMatch(/^DRIVER_MISSING: The driver node:sqlite was not found. Use Node 22.13/);
  });

  it("that is installed and broken is not taken for missing", async () => {
    const said = await openInstalled("@photostructure/sqlite", {
      "@photostructure/sqlite": {
        "package.json": '{ "main": "index.js" }',
        "index.js": 'require("of-another-machine")',
      },
    });
    expect(said).toMatch(/^DRIVER_MISSING: The driver @photostructure\/sqlite is installed and cannot be loaded/);
  });

  it("better-sqlite3 13 is not loaded where it would kill the process", async () => {
    const files = {
      "package.json": '{ "name": "better-sqlite3", "version": "13.2.0", "main": "index.js" }',
      "index.js": 'module.exports = class { constructor() { throw new Error("constructed"); } };',
    };
    const said = await openInstalled("better-sqlite3", { "better-sqlite3": files });
    const isFit = Number(process.versions.napi) >= 10;
    if (!isFit)
      expect(said).toMatch(/^DRIVER_MISSING: better-sqlite3 13.2.0 cannot run on Node .*Install better-sqlite3 12/);
    else expect(said).toBe("constructed");
  });
});

describe("the warning of Node 22 that its SQLite is experimental", () => {
  const warnings: unknown[] = [];
  beforeEach(() => {
    warnings.length = 0;
    vi.spyOn(process, "emitWarning").mockImplementation((warning) => void warnings.push(warning));
  });

  it("is not printed, and all others are, while it is loaded", async () => {
    vi.spyOn(process, "getBuiltinModule").mockImplementation(() => {
      process.emitWarning("SQLite is an experimental feature and might change at any time", "ExperimentalWarning");
      process.emitWarning("Something else is experimental", "ExperimentalWarning");
      process.emitWarning("SQLite is old", "DeprecationWarning");
      return undefined as never;
    });
    await expect(openHandle("node:sqlite", "a.db")).rejects.toThrow(/^DRIVER_MISSING/);
    process.emitWarning("SQLite is an experimental feature and might change at any time", "ExperimentalWarning");
    expect(warnings).toEqual([
      "Something else is experimental",
      "SQLite is old",
      "SQLite is an experimental feature and might change at any time",
    ]);
    vi.restoreAllMocks();
  });
});
