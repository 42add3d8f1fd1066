import { describe, expect, it } from "vitest";
import type { Storage } from "weftline";
import { ScriptProcess } from "./test-support/processes.js";
import { newFile, openRaw, openStorage } from "./test-support/store.js";

const TASKS_PER_FLUSH = 20;

/** Commits one flush after the other, and prints the number of each once it is confirmed. */
const COMMIT_FOREVER = `
  const [file, durability] = args;
  const storage = await openStorage(file, { durability });
  await register(storage);
  await storage.createRuns([newRun("run-1", ENGINE)]);
  for (let n = 0; ; n++) {
    const tasks = Array.from({ length: ${TASKS_PER_FLUSH} }, (_, place) => task("run-1", n * ${TASKS_PER_FLUSH} + place));
    const outcome = await storage.commit({ id: "flush-" + n, number: n, engineId: ENGINE, runs: [changes("run-1", 1, { tasks })] });
    if (outcome.kind !== "ok" || outcome.fenced.length > 0) throw new Error(JSON.stringify(outcome));
    console.log(n);
  }
`;

async function positions(storage: Storage): Promise<number[]> {
  const found: number[] = [];
  let cursor: string | undefined;
  do {
    const page = await storage.list("tasks", { runId: "run-1" }, cursor ? { limit: 1_000, cursor } : { limit: 1_000 });
    found.push(...page.items.map(({ position }) => position));
    cursor = page.next;
  } while (cursor !== undefined);
  return found;
}

describe("a process that is killed in the middle of commits", () => {
  it.each(["full", "normal", "off"] as const)(
    "loses nothing that was confirmed, with durability %s",
    async (durability) => {
      for (const flushes of [1, 40, 150]) {
        const file = newFile();
        const committing = new ScriptProcess(COMMIT_FOREVER, file, durability);
        await committing.printed(flushes);
        const { signal, lines } = await committing.kill();
        expect(signal).toBe("SIGKILL");

        const found = await positions(await openStorage({ file }));
        expect(found.length).toBeGreaterThanOrEqual(lines.length * TASKS_PER_FLUSH);
        expect(found.length % TASKS_PER_FLUSH, "a flush is there in part").toBe(0);
        expect(found).toEqual(found.map((_, place) => place));
        const raw = openRaw(file);
        expect(raw.prepare("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
        raw.close();
      }
    },
  );
});
