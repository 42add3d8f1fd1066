import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { sqliteStorage } from "@weftline/storage-sqlite";
import { afterAll, expect } from "vitest";
import type { Engine, Pipeline } from "weftline";
import { temporaryFiles } from "./files.js";
import { historyOf } from "./history.js";
import { eventually } from "./runs.js";
import { comparing, engineOn, type Kind, leavesNoWorkers } from "./world.js";

const newFile = temporaryFiles();
const engines: Engine[] = [];
leavesNoWorkers(async () => engines);
const hosts: ChildProcess[] = [];
afterAll(() => {
  for (const host of hosts) host.kill("SIGKILL");
});

const module = new URL("./kill.pipelines.mjs", import.meta.url);
const exports = (await import(fileURLToPath(module))) as { readonly killed: Pipeline };

/** A process with an engine, whose run has come so far that something runs that does not end. */
async function startedHost(kind: Kind, file: string, witness: string, door: string) {
  const host = spawn(
    process.execPath,
    [fileURLToPath(new URL("./kill.host.mjs", import.meta.url)), kind, file, witness, door],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  hosts.push(host);
  const runId = await new Promise<string>((resolve) => createInterface({ input: host.stdout }).once("line", resolve));
  await eventually(() => linesOf(witness).some((line) => line.startsWith("stepped")), "the task that is to be cut off");
  return { host, runId };
}

const linesOf = (witness: string): readonly string[] =>
  existsSync(witness) ? readFileSync(witness, "utf8").trim().split("\n") : [];

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

comparing((behaviour) => {
  behaviour(
    "F43 F59 an engine that is killed: its workers die with it, the next engine goes on, and what was done stays",
    async (kind) => {
      const [file, witness, door] = [newFile("weftline.db"), newFile("witness"), newFile("door")];
      const { host, runId } = await startedHost(kind, file, witness, door);
      const worked = new Set(linesOf(witness).map((line) => Number(line.split(" ")[2])));
      expect(worked.has(host.pid!)).toBe(kind !== "processes");
      host.kill("SIGKILL");
      await eventually(() => [...worked].every((pid) => !isAlive(pid)), "the end of the engine's workers");
      writeFileSync(door, "");

      const options = () =>
        ({ storage: sqliteStorage({ file, durability: "normal" }), lease: "1s", poll: 50, retention: "1d" }) as const;
      const next = await engineOn(kind, { module, exports, options });
      engines.push(next);
      await eventually(
        async () => (await next.runs.get(runId)).status === "succeeded",
        "the run's end on the next engine",
      );

      const did = linesOf(witness).map((line) => line.split(" ").slice(0, 2).join(" "));
      expect(did.slice(1, 3).toSorted()).toEqual(["item-0 1", "item-1 1"]);
      expect(did.toSpliced(1, 2)).toEqual(["done 1", "step 1", "stepped 1", "stepped 2", "end 1"]);
      const history = await historyOf(next, runId);
      expect(history.tasks.at(-1)).toMatchObject({ task: "end", output: [new Map([["done", 1n]]), true] });
      expect(history.attempts.map(({ task, status }) => `${task} ${status}`)).not.toContain("stepped failed");
      return { ...history, run: { ...history.run, params: undefined } };
    },
  );
});
