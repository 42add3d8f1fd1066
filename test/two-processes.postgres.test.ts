import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { postgresStorage } from "@weftline/storage-postgres";
import pg from "pg";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createEngine } from "weftline";

const connectionString = process.env.WEFTLINE_TEST_POSTGRES!;
/** A folder from which the built packages are found as installed ones would be. */
const cwd = fileURLToPath(new URL("../bench", import.meta.url));
const RUNS = 20;
const TASKS = 6;

let folder: string;
let schema: string;
const children = new Set<ChildProcess>();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "weftline-two-processes-"));
  schema = `two_${randomBytes(6).toString("hex")}`;
});
afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  await rm(folder, { recursive: true });
  const client = new pg.Client({ connectionString });
  await client.connect();
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await client.end();
});

/** A host whose tasks say on the disk that they begin, before they do anything. */
const HOST = `
import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { createEngine, pipeline } from "weftline";
import { postgresStorage } from "@weftline/storage-postgres";
const [connectionString, schema, witness, runs] = process.argv.slice(1);
const file = openSync(witness, "a");
const chain = pipeline("chain", (p) => {
  let last;
  for (let n = 0; n < ${TASKS}; n++) {
    const after = last === undefined ? [] : [last];
    last = p.task("task-" + n, { after }, async ({ run, task, attempt }) => {
      writeSync(file, [run.id, task.id, attempt, process.pid].join(" ") + "\\n");
      fsyncSync(file);
      await new Promise((resolve) => setTimeout(resolve, 20));
    });
  }
});
const storage = postgresStorage({ connectionString, schema });
const engine = createEngine({ pipelines: [chain], storage, lease: "1s", poll: "100ms", retention: "1d" });
await engine.start();
console.log("started");
for (let n = 0; n < Number(runs); n++) await engine.trigger(chain, {}, { key: "run-" + n });
console.log("triggered");
process.on("SIGTERM", () => engine.stop().then(() => { closeSync(file); process.exit(0); }));
`;

function startHost(runs: number): ChildProcess {
  const args = ["--input-type=module", "--eval", HOST, connectionString, schema, join(folder, "witness"), String(runs)];
  const child = spawn(process.execPath, args, { cwd, stdio: ["ignore", "pipe", "inherit"] });
  children.add(child);
  return child;
}

async function says(child: ChildProcess, word: string): Promise<void> {
  for await (const chunk of child.stdout!.setEncoding("utf8").iterator({ destroyOnReturn: false })) {
    if (String(chunk).includes(word)) return;
  }
}

it("F43 F59 a process that is killed with its runs: the other finishes all of them, and repeats nothing confirmed", async () => {
  const second = startHost(0);
  await says(second, "started");
  const first = startHost(RUNS);
  await says(first, "triggered");
  await new Promise((resolve) => setTimeout(resolve, 70));
  first.kill("SIGKILL");
  await once(first, "exit");

  const storage = postgresStorage({ connectionString, schema });
  const observer = createEngine({ pipelines: [], storage, retention: "1d" });
  await expect
    .poll(async () => (await observer.runs.list({ status: ["succeeded"] })).items.length, { timeout: 15_000 })
    .toBe(RUNS);
  const runs = (await observer.runs.list()).items;
  expect(runs).toHaveLength(RUNS);
  const begun = new Map<string, number>();
  for (const line of (await readFile(join(folder, "witness"), "utf8")).trim().split("\n")) {
    const [run, task] = line.split(" ");
    begun.set(`${run} ${task}`, (begun.get(`${run} ${task}`) ?? 0) + 1);
  }
  for (const { id } of runs) {
    const attempts = (await observer.runs.attempts(id)).items;
    for (let n = 0; n < TASKS; n++) {
      const own = attempts.filter(({ task }) => task === `task-${n}`);
      const succeeded = own.filter(({ status }) => status === "succeeded");
      expect(succeeded, `${id} task-${n}`).toHaveLength(1);
      // A start that storage never heard of is one that was in flight at the kill.
      expect(begun.get(`${id} task-${n}`)).toBeLessThanOrEqual(2);
    }
  }
  const repeated = [...begun.values()].filter((times) => times > 1).length;
  expect(repeated).toBeLessThanOrEqual(RUNS); // of each run at most the one task that was in flight
  expect(repeated).toBeGreaterThan(0); // else the kill came too early or too late to say anything
  await observer.stop();
  second.kill("SIGTERM");
  expect(await once(second, "exit")).toEqual([0, null]);
}, 40_000);
