import { readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DatabaseSync } from "@photostructure/sqlite";
import { describe, expect, it } from "vitest";
import { main } from "./main.js";
import { fakeIo } from "./testing/fake-io.js";
import { tempProject } from "./testing/temp-project.js";

const MODULES = fileURLToPath(new URL("../../../node_modules", import.meta.url));

const PIPELINES = `
import { pipeline } from "weftline";
import { sqliteStorage } from "@weftline/storage-sqlite";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = dirname(fileURLToPath(import.meta.url));
export const storage = () => sqliteStorage({ file: join(folder, "weftline.db") });

export const nightly = pipeline("nightly", (p) => {
  const shops = p.task("shops", () => ["Aachen", "Bremen"]);
  const price = p.map("price", { over: shops, retry: { attempts: 2, delay: 20, jitter: "none" } }, ({ item, attempt }) => {
    if (item === "Bremen" && attempt === 1) throw new Error("the till is offline");
    return item.length;
  });
  const gate = p.branch("gate", { needs: { price } }, () => "publish");
  p.task("hold", { after: [gate.when("hold")] }, () => 1);
  p.task("publish", { after: [gate.when("publish")] }, () => 2);
});
`;

/** A folder of its own, in which commands run, one after the other. */
function project() {
  const cwd = tempProject({ "p.ts": PIPELINES });
  symlinkSync(MODULES, join(cwd, "node_modules"));
  const weftline = async (...args: string[]) => {
    const io = fakeIo({ cwd });
    const code = await main(args, io);
    return { code, out: io.out(), err: io.err() };
  };
  /** Writes into the database behind the back of the storage. */
  const tamper = (sql: string): void => {
    const database = new DatabaseSync(join(cwd, "weftline.db"));
    database.exec(sql);
    database.close();
  };
  return { cwd, weftline, tamper };
}

interface Verified {
  readonly outcome: string;
  readonly knowsPipeline: boolean;
  readonly violations: readonly {
    readonly invariant: number;
    readonly why: string;
    readonly records: readonly string[];
  }[];
  readonly checked: readonly { readonly invariant: number; readonly name: string; readonly times: number }[];
  readonly notChecked: readonly { readonly invariant: number; readonly why: string }[];
}

async function verified({ weftline }: ReturnType<typeof project>): Promise<Verified> {
  const { out } = await weftline("verify", "p.ts", "last", "--json");
  return JSON.parse(out) as Verified;
}

describe("weftline verify", { timeout: 60_000 }, () => {
  it("says which invariants hold, how often each was looked at, and which cannot be checked and why", async () => {
    const { weftline } = project();
    expect((await weftline("run", "p.ts", "nightly")).code).toBe(0);
    const { code, out, err } = await weftline("verify", "p.ts", "last");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/^✓ nothing speaks against it: \S+ of nightly, succeeded\n\nHolds:\n/);
    expect(out).toMatch(/✓ {2}5 {2}attempts are numbered without gaps, and not too many +\d+ times/);
    expect(out).toMatch(/✓ {2}9 {2}the run's status is what its tasks say +once/);
    expect(out).toMatch(/Not checked:\n(.*\n)*.*no task wrote down what it did: 6, 7/);
    expect(out).not.toContain("another version");
  });

  it("ends with 1 when the run's status is not what its tasks say, and names the records", async () => {
    const world = project();
    await world.weftline("run", "p.ts", "nightly");
    world.tamper("UPDATE weftline_runs SET status = 'failed'");
    const { code, out } = await world.weftline("verify", "p.ts", "last");
    expect(code).toBe(1);
    expect(out).toMatch(/^✗ 1 violation: \S+ of nightly, failed\n/);
    expect(out).toContain("the run ended failed, but its tasks say succeeded");
    expect(out).toMatch(/\d{4}-\d\d-\d\dT[\d:]+Z: .*the run failed\n/);
    const { outcome, violations } = await verified(world);
    expect({ outcome, broken: violations.map(({ invariant }) => invariant) }).toEqual({
      outcome: "violated",
      broken: [9],
    });
    expect(violations[0]!.records.length).toBeGreaterThan(0);
  });

  it("finds an attempt that is missing", async () => {
    const world = project();
    await world.weftline("run", "p.ts", "nightly");
    world.tamper("DELETE FROM weftline_attempts WHERE attempt = 1 AND status = 'failed'");
    const { outcome, violations } = await verified(world);
    expect({ outcome, broken: violations.map(({ invariant }) => invariant) }).toEqual({
      outcome: "violated",
      broken: [5],
    });
  });

  it("counts every invariant once, as checked or as not checked", async () => {
    const world = project();
    await world.weftline("run", "p.ts", "nightly");
    const { checked, notChecked, knowsPipeline } = await verified(world);
    const all = [...checked, ...notChecked].map(({ invariant }) => invariant).sort((a, b) => a - b);
    expect(all).toEqual(Array.from({ length: 49 }, (_, place) => place + 1));
    expect(checked.every(({ name, times }) => name.length > 0 && times > 0)).toBe(true);
    expect(notChecked.every(({ why }) => why.length > 0)).toBe(true);
    expect(knowsPipeline).toBe(true);
  });

  it("refuses a run that there is not, and a length of time that is none", async () => {
    const { weftline, cwd } = project();
    expect(await weftline("verify", "p.ts", "last")).toMatchObject({ code: 2, out: "" });
    const wrong = await weftline("verify", "p.ts", "last", "--skew", "soon");
    expect(wrong).toMatchObject({ code: 2, out: "" });
    expect(wrong.err).toContain("--skew");
    expect(readdirSync(cwd)).toContain("p.ts");
  });
});
