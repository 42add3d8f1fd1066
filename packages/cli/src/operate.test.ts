import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BIN, killed, sqliteProject } from "./testing/sqlite-project.js";

const STORAGE = `
import { sqliteStorage } from "@weftline/storage-sqlite";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = dirname(fileURLToPath(import.meta.url));
export const storage = () => sqliteStorage({ file: join(folder, "weftline.db"), migrate: "never" });
export const engine = { lease: "2s", poll: "100ms" };
`;

const PIPELINES = `
import { existsSync } from "node:fs";
import { pipeline } from "weftline";
export { engine, storage } from "./storage.ts";

export const order = pipeline("order", (p) => {
  const fetch = p.task("fetch", () => "fetched");
  const audit = p.task("audit", () => "audited");
  const approve = p.signal("approve", { after: [fetch, audit] });
  const ship = p.task("ship", { needs: { fetch }, after: [approve] }, ({ input }) => input.fetch + " and shipped");
  return { ship };
});

export const stuck = pipeline("stuck", (p) => {
  const first = p.task("first", () => 1);
  p.task("second", { needs: { first } }, () => existsSync("mended") ? 2 : new Promise(() => {}));
});

export const poison = pipeline("poison", (p) => {
  p.task("leak", () => new Promise((resolve) => setTimeout(() => process.env.DRINK ? process.kill(process.pid, "SIGKILL") : resolve(1), 500)));
});
`;

/** The tasks of the next version have other names, and one is gone. */
const NEXT = PIPELINES.replaceAll('"fetch"', '"download"')
  .replace('const audit = p.task("audit", () => "audited");', "")
  .replace("[fetch, audit]", "[fetch]");

function project(files: Readonly<Record<string, string>> = {}) {
  return sqliteProject({ "storage.ts": STORAGE, "p.ts": PIPELINES, "next.ts": NEXT, ...files });
}

const WAITS = 'waits for signal "approve"';

describe("weftline migrate", { timeout: 60_000 }, () => {
  it("says what is missing, makes it step by step, and says so when nothing is", () => {
    const { weftline, cwd } = project();
    const missing = "There is no schema, and version 1 is the newest. What is missing:\n  1  create the tables\n";
    expect(weftline("migrate", "storage.ts", "--check")).toEqual({ code: 1, out: missing, err: "" });
    expect(weftline("runs", "p.ts")).toMatchObject({ code: 2, out: "" });
    expect(weftline("runs", "p.ts").err).toContain("SCHEMA_OUTDATED");
    expect(existsSync(join(cwd, "weftline.db"))).toBe(false);
    const done = "  1  create the tables\nThe schema is at version 1.\n";
    expect(weftline("migrate", "storage.ts")).toEqual({ code: 0, out: done, err: "" });
    const nothing = "The schema is at version 1, the newest. There is nothing to do.\n";
    expect(weftline("migrate", "storage.ts")).toEqual({ code: 0, out: nothing, err: "" });
    expect(weftline("migrate", "storage.ts", "--check")).toEqual({ code: 0, out: nothing, err: "" });
    expect(JSON.parse(weftline("migrate", "storage.ts", "--json").out)).toEqual({ from: 1, to: 1, steps: [] });
    expect(weftline("runs", "p.ts")).toEqual({ code: 0, out: "No runs.\n", err: "" });
  });

  it("prints SQL that does the same, without a database when it is told the version", () => {
    const { weftline, script, cwd } = project();
    const { code, out } = weftline("migrate", "storage.ts", "--print", "--from", "0");
    expect(code).toBe(0);
    expect(out).toMatch(/^-- From version 0 of the schema to 1\..*\n\n-- 1: create the tables\n/);
    expect(existsSync(join(cwd, "weftline.db"))).toBe(false);
    script(`
      import { DatabaseSync } from "@photostructure/sqlite";
      const database = new DatabaseSync("weftline.db");
      database.exec(${JSON.stringify(out)});
      database.close();
    `);
    expect(weftline("migrate", "storage.ts", "--check").code).toBe(0);
    expect(weftline("migrate", "storage.ts", "--print").out).toBe(
      "-- The schema is at version 1, the newest: there is nothing to do.\n",
    );
    const [step] = JSON.parse(weftline("migrate", "storage.ts", "--print", "--from", "0", "--json").out).steps;
    expect(step).toMatchObject({ version: 1, name: "create the tables", sql: expect.stringContaining("CREATE TABLE") });
  });

  it("refuses a schema of a later version, and a storage without one", () => {
    const { weftline, script } = sqliteProject({
      "storage.ts": STORAGE,
      "memory.ts": 'import { memoryStorage } from "weftline"; export const storage = memoryStorage();',
    });
    weftline("migrate", "storage.ts");
    script(`
      import { DatabaseSync } from "@photostructure/sqlite";
      const database = new DatabaseSync("weftline.db");
      database.exec("UPDATE weftline_meta SET value = 99 WHERE name = 'schema'");
      database.close();
    `);
    for (const option of [[], ["--check"], ["--print"]]) {
      const refused = weftline("migrate", "storage.ts", ...option);
      expect(refused).toMatchObject({ code: 2, out: "" });
      expect(refused.err).toContain("SCHEMA_TOO_NEW: the schema has version 99, and this storage works with");
    }
    expect(weftline("migrate", "storage.ts", "--print", "--from", "7").err).toContain("SCHEMA_TOO_NEW");
    expect(weftline("migrate", "memory.ts")).toMatchObject({ code: 2, out: "" });
    expect(weftline("migrate", "memory.ts").err).toContain("it keeps no schema that has versions");
  });
});

describe("weftline health, and runs whose engine is alive, dead, or of another version", { timeout: 60_000 }, () => {
  it("tells an operator what is there, and makes no database", async () => {
    const { weftline, started, cwd } = project();
    const missing = weftline("health", "storage.ts");
    expect(missing).toMatchObject({ code: 3, err: "" });
    expect(missing.out).toContain("✗ red\n  ✗ SCHEMA_OUTDATED: There is no schema in the database yet");
    expect(existsSync(join(cwd, "weftline.db"))).toBe(false);
    weftline("migrate", "storage.ts");
    expect(weftline("health", "p.ts")).toEqual({
      code: 0,
      out: "✓ green\n  engines      none\n  backlog      none\n",
      err: "",
    });

    const child = await started(["run", "p.ts", "order"], WAITS);
    const alive = weftline("health", "p.ts", "--json");
    expect(alive.code).toBe(0);
    expect(JSON.parse(alive.out)).toMatchObject({ status: "green", engines: [{ isAlive: true, runs: 1 }] });
    const refused = weftline("resume", "p.ts", "last");
    expect(refused).toMatchObject({ code: 2, out: "" });
    expect(refused.err).toMatch(
      /RUN_ACTIVE: Cannot go on with run <run> here, as engine cli-<run> has it, which is alive/,
    );

    await killed(child);
    let red = weftline("health", "p.ts");
    while (red.code === 0) red = weftline("health", "p.ts");
    expect(red).toMatchObject({ code: 3, err: "" });
    expect(red.out).toContain("✗ No engine is alive, and 1 run waits for one.");
    expect(red.out).toMatch(/engines +cli-<run> +1 run, silent since its lease ran out <time> ago/);
  });

  it("goes on with the run of a process that was just killed as soon as its lease has run out", async () => {
    const { weftline, started, cwd } = project({ "storage.ts": STORAGE.replace('lease: "2s"', 'lease: "5s"') });
    weftline("migrate", "storage.ts");
    await killed(await started(["run", "p.ts", "stuck"], "second"));
    writeFileSync(join(cwd, "mended"), "");
    const resumed = weftline("resume", "p.ts", "last");
    expect(resumed.code).toBe(0);
    expect(resumed.out).toMatch(/^ <time> {2}second +▸ started/); // what succeeded is not run again
    expect(resumed.err).toMatch(/^Engine cli-<run> has the run\. Waiting to see whether it is alive: .*\n$/);
  });

  it("carries a run over to the next version when it is told what becomes of its tasks", async () => {
    const { weftline, started } = project();
    weftline("migrate", "storage.ts");
    await killed(await started(["run", "p.ts", "order"], WAITS));
    weftline("signal", "p.ts", "last", "approve");

    expect(weftline("resume", "next.ts", "last").err).toContain(
      "carry it over to this one (weftline remap <file> <run>)",
    );
    const unclear = weftline("remap", "next.ts", "last", "--task", "fetch=download");
    expect(unclear).toMatchObject({ code: 2, out: "" });
    expect(unclear.err).toContain('"audit" has no task "audit" to go to');
    expect(unclear.err).toContain("Here: --task old=new, --drop gone");
    expect(weftline("remap", "next.ts", "last", "--task", "fetch=download", "--drop", "adit").err).toContain(
      'has no task "adit"',
    );

    const moved = weftline("remap", "next.ts", "last", "--task", "fetch=download", "--drop", "audit");
    expect(moved.code).toBe(0);
    expect(moved.out).not.toContain("download  "); // what succeeded is not run again
    expect(moved.out).toContain("{ ship: 'fetched and shipped' }");
    const shown = weftline("show", "next.ts", "last").out;
    expect(shown).toMatch(/✓ download/);
    expect(shown).not.toContain("audit");
    expect(weftline("remap", "next.ts", "last").err).toContain("RUN_ACTIVE");
    expect(weftline("remap", "p.ts", "last", "--task", "download=fetch").err).toContain("RUN_FINISHED");
  });

  it("deletes what ended long ago, and nothing else", async () => {
    const { weftline, started } = project();
    weftline("migrate", "storage.ts");
    for (let n = 0; n < 2; n++) weftline("run", "p.ts", "poison", "-q");
    await killed(await started(["run", "p.ts", "order"], WAITS));
    expect(weftline("prune", "p.ts", "--older-than", "1h").out).toBe("Deleted 0 runs that ended before <moment>.\n");
    expect(weftline("prune", "p.ts", "--older-than", "0s").out).toBe("Deleted 2 runs that ended before <moment>.\n");
    expect(weftline("runs", "p.ts").out).toMatch(/^run.*\n<run> +order .*\n$/);
  });

  it("F47 shows a run that was quarantined, why, what ran, and how to go on", async () => {
    const { weftline, script } = project();
    weftline("migrate", "storage.ts");
    const crash = (command: string) =>
      script(`
      import { spawnSync } from "node:child_process";
      const options = { env: { ...process.env, DRINK: "1" }, stdio: "ignore" };
      const { signal } = spawnSync("node", [${JSON.stringify(BIN)}, ...${JSON.stringify(command.split(" "))}], options);
      console.log(signal);
    `);
    expect(crash("run p.ts poison")).toBe("SIGKILL\n");
    expect(crash("resume p.ts last")).toBe("SIGKILL\n");
    expect(weftline("show", "p.ts", "last").out).toContain("crashes     1 engine died while it ran");
    expect(crash("resume p.ts last")).toBe("SIGKILL\n");
    const third = weftline("resume", "p.ts", "last");
    expect(third.code).toBe(1);
    expect(third.out).toContain("✗ poison quarantined");
    expect(third.out).toContain("reason     RUN_QUARANTINED: run <run>");

    expect(weftline("runs", "p.ts").out).toMatch(/poison +✗ quarantined/);
    const { out } = weftline("show", "p.ts", "last");
    expect(out).toContain('RUN_QUARANTINED: run <run> of pipeline "poison" was left alone after 3 engines died');
    expect(out).toMatch(/▸ leak .*was running when its engine died/);
    expect(out).toContain("Once that is mended, go on with it: weftline resume p.ts <run>\n");
    expect(weftline("explain", "p.ts", "last").out).toContain("then resume the run.");
    expect(weftline("health", "p.ts").out).toMatch(/quarantined +<run>/);
    expect(weftline("resume", "p.ts", "last")).toMatchObject({ code: 0 });
    expect(weftline("health", "p.ts").out).not.toContain("quarantined");
  });
});
