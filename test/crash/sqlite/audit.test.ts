import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sqliteStorage } from "@weftline/storage-sqlite";
import { checkHistory, finalStateOf, shapesOf } from "@weftline/testing";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createEngine } from "weftline";
import { Asked } from "../audit/asked.js";
import { auditedHistory } from "../audit/audited-history.js";
import { type HostLine, toldStorage } from "../audit/host-log.js";
import { crashPipelines, NO_SURROUNDINGS } from "../pipeline.js";
import { withStorage } from "../stored-runs.js";
import { installAudit, readAudit } from "./audit.js";

const LEASE_MS = 5_000;
const { crash, child } = crashPipelines(NO_SURROUNDINGS);
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weftline-audit-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it("what SQLite writes down of a run is a history that the checker has nothing against, and adds up to what is stored", async () => {
  const file = join(folder, "weftline.db");
  await withStorage(sqliteStorage({ file }), () => Promise.resolve());
  installAudit(file, { name: "writer", skewMs: 0 });
  const lines: HostLine[] = [];
  const storage = toldStorage(sqliteStorage({ file }), (line) => lines.push(line));
  const engine = createEngine({ pipelines: [crash, child], storage, name: "writer", lease: LEASE_MS, poll: 50 });
  await engine.start();
  const run = await engine.trigger(crash, {});
  await run.signal("approval", { by: "Ada" });
  await run.result();
  await engine.stop();

  const { history, findings, comparisons } = auditedHistory(readAudit(file), new Asked(lines), LEASE_MS);
  const final = await withStorage(sqliteStorage({ file }), (open) => finalStateOf(open, Date.now()));
  const evidence = { history, final, witness: [], clients: [], faults: [], shapes: shapesOf([crash, child]) };
  const verdict = checkHistory({ source: "recorded", ...evidence });
  expect(findings).toEqual([]);
  expect(verdict.violations).toEqual([]);
  expect(comparisons).toBeGreaterThan(5);
  const checked = verdict.checked.map(({ invariant }) => invariant);
  for (const invariant of [3, 4, 10, 14, 15, 24]) expect(checked).toContain(invariant);
  expect(history.at(-1)).toMatchObject({ type: "lease", change: "released" });
});

it("an audit that is there already goes on under the next writer's name and clock", async () => {
  const file = join(folder, "weftline.db");
  await withStorage(sqliteStorage({ file }), async (storage) => {
    installAudit(file, { name: "one", skewMs: 0 });
    await storage.renewLease({ engineId: "one-1", leaseMs: 1_000, isNew: true, definitions: [] });
    installAudit(file, { name: "two", skewMs: 60_000 });
    await storage.releaseLease("one-1");
  });
  const [registered, gone] = readAudit(file);
  expect(registered).toMatchObject({ kind: "engine", change: "I" });
  // By its own clock the second came when the lease had run out; and it is not the one that it belonged to.
  expect(gone).toMatchObject({ kind: "engine", change: "D", isRelease: false });
  expect(gone!.at - registered!.at).toBeGreaterThanOrEqual(60_000);
});
