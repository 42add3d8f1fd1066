import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Storage } from "weftline";
import type { SqliteHandle } from "./driver.js";
import { warnOfNetwork } from "./file-guard.js";
import { sqliteStorage } from "./index.js";
import {
  changes,
  DEFINITION,
  ENGINE,
  Lines,
  newFile,
  newRun,
  openRaw,
  openStorage,
  owned,
  reopen,
  runState,
  taskRecord,
} from "./test-support/store.js";

let flushes = 0;

function flushOf(id: string, ...positions: number[]) {
  const tasks = positions.map((position) => taskRecord("run-1", position, { output: `j1:"${"x".repeat(1_000)}"` }));
  return { id, number: ++flushes, engineId: ENGINE, runs: [changes("run-1", { tasks, run: runState("running") })] };
}

async function countTasks(storage: Storage): Promise<number> {
  return (await storage.list("tasks", { runId: "run-1" }, { limit: 1_000 })).items.length;
}

const LOOK = { engineId: ENGINE, definitions: [DEFINITION], now: 0 };

describe("F26 durability", () => {
  it("is full by default, and says nothing", async () => {
    const lines = new Lines();
    const pragmas: string[] = [];
    const driver = (file: string) => spied(openRaw(file), (sql) => pragmas.push(sql));
    await openStorage({ file: newFile(), driver }, lines.log);
    expect(pragmas).toContain("PRAGMA synchronous = FULL");
    expect(lines.lines).toEqual([]);
  });

  it("that is relaxed is said when the storage is opened", async () => {
    for (const [durability, level] of [
      ["normal", "info"],
      ["off", "warn"],
    ] as const) {
      const lines = new Lines();
      const pragmas: string[] = [];
      const driver = (file: string) => spied(openRaw(file), (sql) => pragmas.push(sql));
      await openStorage({ file: newFile(), durability, driver }, lines.log);
      expect(pragmas).toContain(`PRAGMA synchronous = ${durability.toUpperCase()}`);
      expect(lines.lines).toMatchObject([{ level, code: "DURABILITY_RELAXED" }]);
    }
  });
});

describe("F27 a disk that is full", () => {
  it("makes a commit unknown, leaves nothing of it behind, and lets it succeed when there is room again", async () => {
    let database: SqliteHandle | undefined;
    const driver = (file: string) => {
      database = openRaw(file);
      return database;
    };
    const storage = await openStorage({ file: newFile(), driver });
    await owned(storage, "run-1");
    const { page_count: pages } = database!.prepare("PRAGMA page_count").get() as { page_count: number };
    database!.exec(`PRAGMA max_page_count = ${pages + 5}`);
    const positions = Array.from({ length: 200 }, (_, position) => position);
    const outcome = await storage.commit(flushOf("flush-1", ...positions));
    expect(outcome).toMatchObject({ kind: "unknown", cause: { code: "STORAGE_FULL", retryable: true } });
    expect(await countTasks(storage)).toBe(0);
    expect((await storage.getRun("run-1"))?.status).toBe("queued");
    await expect(storage.createRuns(positions.map((n) => newRun(`more-${n}`)))).rejects.toThrow(/^STORAGE_FULL: /);
    expect(await storage.commit(flushOf("flush-2", 0)), "what still fits is written").toMatchObject({ kind: "ok" });

    database!.exec("PRAGMA max_page_count = 1000000");
    expect(await storage.commit(flushOf("flush-3", ...positions))).toEqual({ kind: "ok", fenced: [] });
    expect(await countTasks(storage)).toBe(200);
  });
});

describe("F28 a database that is deleted or replaced while it is open", () => {
  const changesOfFile: Record<string, (file: string) => void> = {
    deleted: (file) => rmSync(file),
    "moved away": (file) => renameSync(file, `${file}.moved`),
    "replaced by a copy": (file) => {
      copyFileSync(file, `${file}.copy`);
      renameSync(`${file}.copy`, file);
    },
    "deprived of its log": (file) => rmSync(`${file}-wal`),
  };

  it.each(Object.entries(changesOfFile))("is noticed when it is %s", async (_, change) => {
    const file = newFile();
    const storage = await openStorage({ file });
    await owned(storage, "run-1");
    change(file);
    await expect(storage.look(LOOK)).rejects.toThrow(/^STORAGE_INVALID: .*deleted or replaced/);
    await expect(storage.createRuns([newRun("run-2")])).rejects.toThrow(/^STORAGE_INVALID: /);
    expect(await storage.commit(flushOf("flush-1", 0))).toMatchObject({
      kind: "unknown",
      cause: { code: "STORAGE_INVALID" },
    });
    await expect(storage.getRun("run-1"), "reads are refused as well from then on").rejects.toThrow(
      /^STORAGE_INVALID: /,
    );
  });

  it("is noticed by a commit too, and is never begun anew", async () => {
    const file = newFile();
    const storage = await openStorage({ file });
    await owned(storage, "run-1");
    rmSync(file);
    expect(await storage.commit(flushOf("flush-1", 0))).toMatchObject({
      kind: "unknown",
      cause: { code: "STORAGE_INVALID" },
    });
    expect(existsSync(file)).toBe(false);
    await storage.close();
    for (const left of [`${file}-wal`, `${file}-shm`]) rmSync(left, { force: true });
    await expect(reopen(storage)).rejects.toThrow(/^STORAGE_INVALID: .*not there any more/);
    expect(existsSync(file)).toBe(false);
  });

  it("can be opened again once it is back", async () => {
    const file = newFile();
    const storage = await openStorage({ file });
    await owned(storage, "run-1");
    renameSync(file, `${file}.moved`);
    await expect(storage.look(LOOK)).rejects.toThrow(/^STORAGE_INVALID: /);
    renameSync(`${file}.moved`, file);
    await storage.close();
    await reopen(storage);
    expect(await storage.getRun("run-1")).toMatchObject({ id: "run-1" });
  });

  it.each(["missing", "empty"])("is not begun anew beside its log when it is %s", async (state) => {
    const file = newFile();
    const storage = await openStorage({ file });
    await owned(storage, "run-1");
    copyFileSync(`${file}-wal`, `${file}.kept`);
    await storage.close();
    renameSync(`${file}.kept`, `${file}-wal`);
    rmSync(file);
    if (state === "empty") writeFileSync(file, "");
    const anew = sqliteStorage({ file });
    await expect(reopen(anew)).rejects.toThrow(new RegExp(`^STORAGE_INVALID: .*is ${state}, but its log`));
    await expect(anew.schema!.current()).rejects.toThrow(/^STORAGE_INVALID: /);
    expect(existsSync(`${file}-wal`)).toBe(true);
  });
});

describe("a file that cannot be the database", () => {
  it("is refused by what is wrong with it", async () => {
    const file = newFile();
    writeFileSync(file, "This is a text, and long enough to be one.".repeat(20));
    await expect(reopen(sqliteStorage({ file }))).rejects.toThrow(/^STORAGE_INVALID: .*no SQLite database/);
    const inside = join(dirname(file), "no-such-folder", "weftline.db");
    await expect(reopen(sqliteStorage({ file: inside }))).rejects.toThrow(/^STORAGE_INVALID: .*folder has to exist/);
    const folder = join(dirname(file), "folder");
    mkdirSync(folder);
    await expect(reopen(sqliteStorage({ file: folder }))).rejects.toThrow(/^STORAGE_INVALID: /);
  });
});

describe("F29 a network file system", () => {
  it.each([
    ["NFS", 0x6969],
    ["CIFS", 0xff534d42],
    ["SMB", 0xfe534d42],
  ])("is warned of: %s", async (name, type) => {
    const lines = new Lines();
    await warnOfNetwork("/mnt/weftline.db", lines.log, async () => type);
    expect(lines.lines).toMatchObject([{ level: "warn", code: "SQLITE_NETWORK_FS" }]);
    expect(lines.lines[0]!.message).toContain(name);
  });

  it("is not what a local disk is", async () => {
    const lines = new Lines();
    await openStorage({ file: newFile() }, lines.log);
    expect(lines.lines).toEqual([]);
  });
});

describe("a value that SQLite does not keep", () => {
  it("is rejected by its task, and what stood beside it can be written", async () => {
    const driver = (file: string) => spied(openRaw(file), undefined, refuseLong);
    const storage = await openStorage({ file: newFile(), driver });
    await owned(storage, "run-1");
    const tasks = Array.from({ length: 9 }, (_, position) => taskRecord("run-1", position));
    const bad = taskRecord("run-1", 5, { index: [2], output: "x".repeat(5_000) });
    const flush = { id: "flush-1", number: 1, engineId: ENGINE, runs: [changes("run-1", { tasks: [...tasks, bad] })] };
    expect(await storage.commit(flush)).toEqual({
      kind: "rejected",
      values: [
        { runId: "run-1", task: "task-5", index: [2], message: expect.stringMatching(/larger than SQLite keeps/) },
      ],
    });
    expect(await countTasks(storage)).toBe(0);
    const rest = { ...flush, id: "flush-2", runs: [changes("run-1", { tasks })] };
    expect(await storage.commit(rest)).toEqual({ kind: "ok", fenced: [] });
  });
});

/** SQLite's own limit is a gigabyte, which no test should need. */
function refuseLong(values: readonly unknown[]): void {
  if (!values.some((value) => typeof value === "string" && value.length > 4_000)) return;
  throw Object.assign(new Error("string or blob too big"), { code: "ERR_SQLITE_ERROR", errcode: 18 });
}

function spied(
  database: SqliteHandle,
  onExec: (sql: string) => unknown = () => {},
  beforeRun: (values: readonly unknown[]) => void = () => {},
): SqliteHandle {
  return {
    exec(sql) {
      onExec(sql);
      database.exec(sql);
    },
    prepare(sql) {
      const statement = database.prepare(sql);
      return {
        run(...values) {
          beforeRun(values);
          return statement.run(...values);
        },
        get: (...values) => statement.get(...values),
        all: (...values) => statement.all(...values),
      };
    },
    close: () => database.close(),
  };
}
