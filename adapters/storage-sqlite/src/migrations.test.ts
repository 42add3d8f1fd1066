import { existsSync, statSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { sqliteStorage } from "./index.js";
import { SCHEMA_VERSION, stepsFrom } from "./migrations.js";
import { run, ScriptProcess } from "./test-support/processes.js";
import { newFile, newRun, openRaw, openStorage, reopen } from "./test-support/store.js";

function pragma(file: string, name: string): unknown {
  const raw = openRaw(file);
  const [row] = raw.prepare(`PRAGMA ${name}`).all() as Record<string, unknown>[];
  raw.close();
  return row?.[name];
}

function execute(file: string, sql: string): void {
  const raw = openRaw(file);
  raw.exec(sql);
  raw.close();
}

const setVersion = (version: number) => `UPDATE weftline_meta SET value = ${version} WHERE name = 'schema'`;

describe("the schema", () => {
  it("F193 is made once by five processes that start at once on an empty file", async () => {
    const file = newFile();
    const script = `
      import { existsSync } from "node:fs";
      const [file, go] = args;
      console.log("ready");
      while (!existsSync(go)) block(1);
      const storage = await openStorage(file);
      await storage.createRuns([newRun("run-" + process.pid)]);
      console.log(await storage.schema.current());
      await storage.close();
    `;
    for (let round = 0; round < 3; round++) {
      const place = `${file}-${round}`;
      const starting = Array.from({ length: 5 }, () => new ScriptProcess(script, place, `${place}.go`));
      await Promise.all(starting.map((process) => process.printed(1)));
      writeFileSync(`${place}.go`, "");
      for (const { lines, complaints } of await Promise.all(starting.map(({ ended }) => ended))) {
        expect([lines, complaints]).toEqual([["ready", `${SCHEMA_VERSION}`], ""]);
      }
      const storage = await openStorage({ file: place });
      expect((await storage.list("runs", {}, { limit: 10 })).items).toHaveLength(5);
    }
  }, 30_000);

  it("F194 that is newer than the library is refused, with both versions, and left as it is", async () => {
    const file = newFile();
    await (await openStorage({ file })).close();
    execute(file, setVersion(SCHEMA_VERSION + 6));
    const newer = new RegExp(`^SCHEMA_TOO_NEW: .*v${SCHEMA_VERSION + 6}.* up to v${SCHEMA_VERSION}\\.`);
    for (const migrate of ["auto", "never"] as const) {
      const storage = sqliteStorage({ file, migrate });
      await expect(reopen(storage)).rejects.toThrow(newer);
      await expect(storage.schema!.migrate()).rejects.toThrow(newer);
      expect(await storage.schema!.current()).toBe(SCHEMA_VERSION + 6);
      await storage.close();
    }
    execute(file, setVersion(SCHEMA_VERSION));
    await openStorage({ file });
  });

  it("F195 that is missing is refused where migrations are not to be made by themselves, and nothing is written", async () => {
    const file = newFile();
    const storage = sqliteStorage({ file, migrate: "never" });
    await expect(reopen(storage)).rejects.toThrow(/^SCHEMA_OUTDATED: .*no schema yet.*`weftline migrate`/);
    expect(existsSync(file)).toBe(false);
    expect(await storage.schema!.current()).toBe(0);
    expect(existsSync(file)).toBe(false);
    writeFileSync(file, "");
    await expect(reopen(storage)).rejects.toThrow(/^SCHEMA_OUTDATED/);
    expect(statSync(file).size).toBe(0);
  });

  it("F195 can be made by migrate(), or by hand from its text", async () => {
    const files = { migrate: newFile(), hand: newFile() };
    const storage = sqliteStorage({ file: files.migrate, migrate: "never" });
    const made = await storage.schema!.migrate();
    expect(made).toEqual(stepsFrom(0));
    expect(await storage.schema!.migrate()).toEqual([]);
    await storage.schema!.close();
    for (const { sql } of storage.schema!.statements(0)) execute(files.hand, sql);
    for (const file of Object.values(files)) {
      const migrated = await openStorage({ file, migrate: "never" });
      await migrated.createRuns([newRun("run-1")]);
      expect(await migrated.schema!.current()).toBe(SCHEMA_VERSION);
    }
  });

  it("F196 is made whole after a process was killed between any two of its statements", async () => {
    const file = newFile();
    // Every statement is executed for itself here, and the process ends itself behind the one it is told.
    const script = `
      import { createRequire } from "node:module";
      const { DatabaseSync } = process.getBuiltinModule("node:sqlite") ?? createRequire(${JSON.stringify(import.meta.url)})("@photostructure/sqlite");
      let made = 0;
      const count = () => { if (made++ === Number(args[1])) process.kill(process.pid, "SIGKILL"); };
      const driver = (file) => {
        const database = new DatabaseSync(file);
        const exec = (sql) => { for (const part of sql.split(";\\n")) { database.exec(part); count(); } };
        const prepare = (sql) => {
          const statement = database.prepare(sql);
          const run = (...values) => { const result = statement.run(...values); count(); return result; };
          return { run, get: (...values) => statement.get(...values), all: (...values) => statement.all(...values) };
        };
        return { exec, prepare, close: () => database.close() };
      };
      const storage = await openStorage(args[0], { driver });
      await storage.close();
      console.log(made);
    `;
    const [total] = (await run(script, newFile(), "-1")).map(Number);
    const statements = stepsFrom(0).map(({ sql }) => sql.split(";\n").length);
    expect(total).toBeGreaterThan(statements.reduce((sum, count) => sum + count, 0));
    // Where a transaction begins or ends, and here and there between.
    const kills = Array.from({ length: total! }, (_, n) => n).filter((n) => n < 9 || n > total! - 9 || n % 8 === 0);
    for (const n of kills) {
      // One file for all: each process finds what the ones before it left.
      const { signal } = await new ScriptProcess(script, file, `${n}`).ended;
      if (signal === null) break; // the schema is there, and so there are fewer statements
      expect(signal).toBe("SIGKILL");
    }
    const storage = await openStorage({ file });
    await storage.createRuns([newRun("run-1")]);
    expect(pragma(file, "integrity_check")).toBe("ok");
  }, 60_000);

  it("F33 does not take tables of others for its own", async () => {
    for (const table of ["weftline_runs (id)", "weftline_meta (name, number)", "weftline_meta (name, value)"]) {
      const file = newFile();
      execute(file, `CREATE TABLE ${table}`);
      const storage = sqliteStorage({ file });
      const name = table.split(" ")[0];
      await expect(reopen(storage)).rejects.toThrow(new RegExp(`^STORAGE_INVALID: .*"${name}".*not Weftline's`));
      await storage.close();
    }
  });

  it("F33 leaves the tables and the mark of a host alone that keeps its data in the same file", async () => {
    const file = newFile();
    execute(
      file,
      "CREATE TABLE runs (id); INSERT INTO runs VALUES (1); PRAGMA application_id = 7; PRAGMA user_version = 9",
    );
    const storage = await openStorage({ file });
    await storage.createRuns([newRun("run-1")]);
    await storage.close();
    expect([pragma(file, "application_id"), pragma(file, "user_version")]).toEqual([7, 9]);
    const raw = openRaw(file);
    expect(raw.prepare("SELECT id FROM runs").all()).toEqual([{ id: 1 }]);
    raw.close();
  });

  it("marks a file of its own", async () => {
    const file = newFile();
    await (await openStorage({ file })).close();
    expect(pragma(file, "application_id")).toBe(0x77656674);
  });
});
