import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { sqliteStorage } from "@weftline/storage-sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Storage, systemClock } from "weftline";

/** A package that has the engine and the storage installed, as built. */
const PACKAGE = fileURLToPath(new URL("../examples/demand-forecast", import.meta.url));

let folder: string;
const children = new Set<ChildProcess>();
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "weftline-shutdown-"));
});
afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  await rm(folder, { recursive: true });
});

/** The first sample below a heading of the guide, as it is pasted. */
async function sample(heading: string): Promise<string> {
  const guide = await readFile(new URL("../docs/embedding.md", import.meta.url), "utf8");
  const [, code] = new RegExp(`^## ${heading}$[\\s\\S]*?^\`\`\`ts\\n([\\s\\S]*?)^\`\`\`$`, "m").exec(guide) ?? [];
  return code!;
}

/** The host: an engine on a file, whose lease is so long that nobody waits for its end. */
const HOST = `
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { createEngine, pipeline } from "weftline";
import { sqliteStorage } from "@weftline/storage-sqlite";

const work = pipeline("work", (p) => {
  p.map("item", { over: Array.from({ length: 300 }, (_, n) => n), concurrency: 4 }, async ({ item }) => {
    appendFileSync("effects", item + "\\n");
    await sleep(item % 10);
  });
  p.map("slow", { over: Array.from({ length: 8 }, (_, n) => n), concurrency: 2 }, () => sleep(1_000));
});
const deaf = pipeline("deaf", (p) => void p.task("deaf", () => sleep(60_000)));
process.chdir(process.env.FOLDER);
const storage = sqliteStorage({ file: "weftline.db" });
const engine = createEngine({ pipelines: [work, deaf], storage, lease: "1m", poll: "50ms" });
`;

interface Host {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
}

/** Runs a script after the host's in a process of its own, and waits until it says that it is ready. */
async function host(script: string): Promise<Host> {
  const code = `${HOST}\n${script}\nprocess.send("ready");`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", code], {
    cwd: PACKAGE,
    env: { ...process.env, FOLDER: folder },
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  children.add(child);
  const exited = once(child, "exit").then(([exitCode]) => exitCode as number | null);
  await Promise.race([once(child, "message"), exited.then(() => Promise.reject(new Error("it ended early")))]);
  return { child, exited };
}

async function effects(): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for (const item of (await readFile(join(folder, "effects"), "utf8")).trim().split("\n")) {
    counts.set(item, (counts.get(item) ?? 0) + 1);
  }
  return counts;
}

async function reading<Result>(use: (storage: Storage) => Promise<Result>): Promise<Result> {
  const storage = sqliteStorage({ file: join(folder, "weftline.db") });
  await storage.open({ log: console, now: systemClock.now });
  try {
    return await use(storage);
  } finally {
    await storage.close();
  }
}

describe("the signal handlers of docs/embedding.md", { timeout: 60_000 }, () => {
  it("F54 F55 stop in order while runs are written, mind no second SIGTERM, and hand the runs over", async () => {
    const handlers = await sample("Signals");
    const { child, exited } = await host(`${handlers}await engine.start(); await engine.trigger(work);`);
    while ((await effects().catch(() => new Map())).size < 50) await pause(5);
    const before = performance.now();
    child.kill("SIGTERM");
    await pause(300);
    expect(child.exitCode).toBeNull(); // what takes a second is not cut off
    child.kill("SIGTERM");
    child.kill("SIGINT");
    expect(await exited).toBe(0);
    expect(performance.now() - before).toBeLessThan(10_000); // and what has not begun is not waited for

    const { run, done } = await reading(async (storage) => {
      const [stored] = (await storage.list("runs", {}, { limit: 1 })).items;
      expect((await storage.survey({ now: Date.now() })).engines).toEqual([]);
      const tasks = await storage.list("tasks", { runId: stored!.id, task: "item" }, { limit: 1_000 });
      return {
        run: stored!,
        done: tasks.items.filter(({ index, status }) => index.length > 0 && status !== "pending"),
      };
    });
    expect(run).toMatchObject({ status: "running", owner: undefined, crashes: 0 });
    // Whatever ran was let finish: nothing is left in the middle, and everything that ran is written down.
    expect(new Set(done.map(({ status }) => status))).toEqual(new Set(["succeeded"]));
    const sofar = await effects();
    expect(new Set(done.map(({ index }) => String(index[0])))).toEqual(new Set(sofar.keys()));
    expect(sofar.size).toBeLessThan(300);

    const next = await host(`
      await engine.start();
      process.on("message", async (id) => process.send(await status(id)));
      const status = async (id) => (await engine.runs.get(id)).status;
    `);
    const status = async () => {
      next.child.send(run.id);
      const [answer] = await once(next.child, "message");
      return answer as string;
    };
    while ((await status()) === "running") await pause(50);
    expect(await status()).toBe("succeeded");
    const all = await effects();
    expect(all.size).toBe(300);
    expect([...all.values()].filter((times) => times > 1)).toEqual([]);
  });

  it("F55 end the process at once when somebody insists, and another engine is left to find out", async () => {
    const handlers = await sample("Signals");
    const { child, exited } = await host(`${handlers}
      await engine.start();
      const started = new Promise((resolve) => engine.on("task:started", resolve));
      await engine.trigger(deaf);
      await started;
    `);
    child.kill("SIGTERM");
    await pause(500);
    child.kill("SIGTERM");
    await pause(5_000);
    expect(child.exitCode).toBeNull();
    child.kill("SIGTERM");
    expect(await exited).toBe(1);
    const owner = await reading(async (storage) => (await storage.list("runs", {}, { limit: 1 })).items[0]!.owner);
    expect(owner).toMatch(/^engine-/);
  });
});

describe("docs/embedding.md", { timeout: 60_000 }, () => {
  it("serves health as its sample says", async () => {
    const server = (await sample("Health")).replace(
      "8080",
      "0, '127.0.0.1', function () { globalThis.port = this.address().port; }",
    );
    const { child } = await host(`
      ${server}
      process.on("message", async (what) => {
        if (what === "start") await engine.start();
        if (what === "stop") await engine.stop();
        const response = await fetch("http://127.0.0.1:" + globalThis.port);
        process.send([response.status, await response.json()]);
      });
    `);
    const ask = async (what: string) => {
      child.send(what);
      const [[code, health]] = (await once(child, "message")) as [[number, unknown]];
      return { code, health };
    };
    expect(await ask("")).toMatchObject({ code: 503, health: { status: "red", reasons: [{ kind: "not-running" }] } });
    expect(await ask("start")).toEqual({ code: 200, health: { status: "green", reasons: [], runs: 0, attempts: 0 } });
    expect(await ask("stop")).toMatchObject({ code: 503, health: { status: "red" } });
  });

  it("F205 keeps the process alive on a shared storage until stop(), and no longer", async () => {
    const { child, exited } = await host(`
      await engine.start();
      process.once("message", async () => { await engine.stop(); process.disconnect(); });
      process.channel.unref();
    `);
    await pause(1_000);
    expect(child.exitCode).toBeNull();
    child.send("stop");
    expect(await exited).toBe(0);
  });
});

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
