import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createEngine, memoryStorage, type Storage } from "weftline";
import { judge } from "./judge.js";
import { type WitnessEntry, workOf } from "./work.js";

let folder: string;
let witness: string;
let storage: Storage;
let run: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "weftline-judge-"));
  witness = join(folder, "witness");
  const inner = memoryStorage();
  // Its records outlive the engine.
  storage = new Proxy(inner, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name);
      if (name === "close") return async () => {};
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
  const tell = (entry: WitnessEntry) => appendFileSync(witness, `${JSON.stringify(entry)}\n`);
  const work = workOf("engine", tell);
  const engine = createEngine({ pipelines: [work], storage });
  engine.on("task:finished", ({ runId, task, index, attempt, at }) =>
    tell({ phase: "confirmed", run: runId, task, index, attempt, engine: "engine", at }),
  );
  await engine.start();
  const handle = await engine.trigger(work, {}, { key: "key" });
  run = handle.id;
  await handle.result();
  await engine.stop();
});
afterEach(() => rmSync(folder, { recursive: true }));

const verdict = (runs = new Map([["key", run]])) => judge(storage, witness, runs);

it("judge() has nothing against a run that went well", async () => {
  expect(await verdict()).toEqual({ runs: 1, repeated: 0, violations: [] });
});

it("judge() finds work that was done again after it was confirmed, and counts what was done again before", async () => {
  const again = { run, task: "first", index: [], attempt: 2, engine: "engine", at: Date.now() };
  const lines = readFileSync(witness, "utf8");
  writeFileSync(witness, `${JSON.stringify({ phase: "start", ...again })}\n${lines}`);
  const after = `run ${run}: attempt 2 of first[] began after its end was confirmed`;
  const before = await verdict();
  expect(before.repeated).toBe(1);
  expect(before.violations).not.toContain(after);
  appendFileSync(witness, `${JSON.stringify({ phase: "start", ...again })}\n`);
  expect((await verdict()).violations).toContain(after);
});

it("judge() finds work that nobody saw, or that was confirmed twice", async () => {
  const lines = readFileSync(witness, "utf8");
  writeFileSync(witness, lines.replaceAll(/^.*"last".*\n/gm, ""));
  expect((await verdict()).violations).toEqual([`run ${run}: 6 of 7 tasks and items did their work`]);
  const confirmed = JSON.stringify({
    phase: "confirmed",
    run,
    task: "last",
    index: [],
    attempt: 1,
    engine: "engine",
    at: Date.now(),
  });
  writeFileSync(witness, `${lines}${confirmed}\n`);
  expect((await verdict()).violations).toEqual([`run ${run}: last[] was confirmed 2 times`]);
});

it("judge() finds runs that are not there", async () => {
  const { violations } = await verdict(
    new Map([
      ["key", run],
      ["other", "gone"],
    ]),
  );
  expect(violations).toContain("key other: 0 runs");
  expect(violations).toContain("key other: its caller was told of run gone, which is not there");
});
