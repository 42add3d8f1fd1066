import { spawn, spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { tempProject } from "./testing/temp-project.js";

const BIN = fileURLToPath(new URL("../bin/weftline.js", import.meta.url));
const JSONL = fileURLToPath(new URL("../../../examples/jsonl-storage/src/jsonl-storage.ts", import.meta.url));

const FILE = `
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { pipeline } from "weftline";
import { jsonlStorage } from ${JSON.stringify(JSONL)};

const folder = dirname(fileURLToPath(import.meta.url));
export const storage = () => jsonlStorage({ file: join(folder, "runs.jsonl") });

const notify = pipeline("notify", (p) => { p.task("send", () => 1); });

export const nightly = pipeline("nightly", { title: "Prices" }, (p) => {
  const shops = p.task("shops", ({ log }) => { log("three shops"); return ["Aachen", "Bremen", "Celle"]; });
  const shop = p.group("shop", { over: shops }, (g) => {
    const load = g.task("load", ({ item }) => item.length);
    const price = g.task("price", { needs: { load }, retry: { attempts: 2, delay: 1 } }, async ({ input, item, step, metric, log }) => {
      const base = await step("base", () => input.load);
      metric("base", base);
      if (item === "Celle" && existsSync(join(folder, "offline"))) {
        log.warn("the till of Celle does not answer");
        throw new Error("the till is offline", { cause: new Error("ECONNREFUSED") });
      }
      return base;
    });
    return { price };
  });
  p.check("enough", { needs: { shops }, severity: "warning" }, ({ input }) => ({ passed: false, message: "few shops", value: input.shops.length }));
  p.task("publish", { needs: { shop } }, ({ artifact }) => artifact({ name: "prices.txt", data: "1" }));
  p.run("tell", notify, { needs: { shop } });
});

export const approval = pipeline("approval", (p) => {
  const answer = p.signal("answer");
  return { answer };
});
`;

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A folder of its own, and the command in it, each time as a process of its own. */
function project(files: Readonly<Record<string, string>> = {}) {
  const cwd = tempProject({ "p.ts": FILE, ...files });
  const weftline = (...args: string[]): Outcome => {
    const options = { cwd, encoding: "utf8", timeout: 20_000 } as const;
    const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...args], options);
    return { code: status, out: stable(stdout), err: stable(stderr) };
  };
  return { cwd, weftline, offline: join(cwd, "offline") };
}

/** What differs from run to run is replaced. */
function stable(text: string): string {
  return text
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}/g, "<run>")
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "<moment>")
    .replace(/ *\b\d+(\.\d+)?m?s\b/g, " <time>");
}

describe("the history of a durable storage, read and changed by other processes", { timeout: 60_000 }, () => {
  it("shows a run that failed, why, and what its tasks said; resumes it; runs parts of it again", () => {
    const { weftline, offline } = project();
    writeFileSync(offline, "");
    expect(weftline("run", "p.ts", "nightly", "--tag", "eu", "--key", "k1").code).toBe(1);

    const runs = weftline("runs", "p.ts");
    expect(runs).toMatchObject({ code: 0, err: "" });
    expect(runs.out).toMatch(
      /^run +pipeline +status +when +took +key +tags\n<run> +nightly +✗ failed +<moment> +<time> +k1 +eu\n$/,
    );
    expect(weftline("runs", "p.ts", "--status", "succeeded").out).toBe("No runs.\n");
    expect(JSON.parse(weftline("runs", "p.ts", "--tag", "eu", "--limit", "1", "--json").out)).toMatchObject({
      pipeline: "nightly",
      status: "failed",
      key: "k1",
    });

    expect(weftline("show", "p.ts", "last")).toMatchSnapshot();
    const shown = JSON.parse(weftline("show", "p.ts", "last", "--json").out);
    expect(
      shown.tasks.find(({ status, task }: Record<string, string>) => status === "failed" && task === "shop.price"),
    ).toMatchObject({
      index: [2],
      attempts: 2,
      error: { message: "the till is offline" },
    });
    expect(JSON.stringify(shown)).not.toContain('"stack"');

    expect(weftline("logs", "p.ts", "last", "--level", "warn").out).toMatch(
      /^<moment> {2}warn +enough .*\n(<moment> {2}warn +shop\.price\[2\]( #2)? {2}the till of Celle does not answer\n){2}$/,
    );
    expect(weftline("logs", "p.ts", "last", "--task", "shops").out).toBe("<moment>  info   shops  three shops\n");
    expect(weftline("explain", "p.ts", "last", "publish").out).toBe(
      '⊘ "publish" did not run, as something before it failed: its rule all-success looks at "shop" (failed); "shop" ended failed, and the rule is all-success.\n',
    );
    expect(weftline("explain", "p.ts", "last").out).toContain('  ✗ "shop.price[2]" failed: Error: the till is offline');

    rmSync(offline);
    const resumed = weftline("resume", "p.ts", "last");
    expect(resumed).toMatchObject({ code: 0, err: "" });
    expect(resumed.out).not.toContain("shops  "); // what succeeded is not run again
    expect(resumed.out).toMatch(/shop\.price\[2\] +▸ started, attempt 3/);
    expect(resumed.out.slice(resumed.out.indexOf("✓ nightly"))).toMatchSnapshot();
    const after = weftline("show", "p.ts", "last").out;
    expect(after).toContain("✓ nightly succeeded");
    expect(after).toMatch(/→ notify +succeeded, run <run>/);
    expect(weftline("resume", "p.ts", "last")).toMatchObject({ code: 2, out: "" });

    const rerun = weftline("rerun", "p.ts", "last", "--from", "enough,publish", "--only");
    expect(rerun.code).toBe(0);
    expect(rerun.out).not.toContain("shop.price[0]");
    expect(rerun.out).toContain("<run>, generation 2");
    expect(weftline("show", "p.ts", "last", "--generation", "1").out).toContain("generation 1 of 2");
    expect(weftline("show", "p.ts", "last", "--generation", "3").err).toContain("has no generation 3");
    expect(weftline("run", "p.ts", "nightly", "--key", "k1").out).toContain(
      'Key "k1" was used before, for this run: <run>.',
    );
  });

  it("leaves messages for a run whose process died, and goes on with it", async () => {
    const { cwd, weftline } = project();
    const child = spawn(process.execPath, [BIN, "run", "p.ts", "approval"], {
      cwd,
      stdio: ["ignore", "pipe", "inherit"],
    });
    await new Promise<void>((resolve) => {
      child.stdout
        .setEncoding("utf8")
        .on("data", (text: string) => text.includes('waits for signal "answer"') && resolve());
    });
    child.kill("SIGKILL");
    await new Promise((resolve) => child.on("exit", resolve));

    expect(weftline("runs", "p.ts").out).toContain("◷ waiting");
    expect(weftline("explain", "p.ts", "last").out).toContain('nobody has sent signal "answer"');
    expect(weftline("logs", "p.ts", "last", "--follow").err).toContain("Cannot follow");
    const left = weftline("signal", "p.ts", "last", "answer", "--payload", '{"yes":true}');
    expect(left).toMatchObject({ code: 0, err: "" });
    expect(left.out).toContain(
      'signal to "answer". No engine has the run now: the next one that takes it up applies it',
    );
    expect(weftline("delete", "p.ts", "last").err).toContain("RUN_ACTIVE");
    const resumed = weftline("resume", "p.ts", "last");
    expect(resumed.code).toBe(0);
    expect(resumed.out).toContain("{ answer: { yes: true } }");
    expect(weftline("delete", "p.ts", "last").out).toBe('Deleted run <run> of pipeline "approval".\n');
    expect(weftline("runs", "p.ts").out).toBe("No runs.\n");
  });

  it("cancels a run for its next owner", async () => {
    const { cwd, weftline } = project();
    const child = spawn(process.execPath, [BIN, "run", "p.ts", "approval"], {
      cwd,
      stdio: ["ignore", "pipe", "inherit"],
    });
    await new Promise<void>((resolve) => {
      child.stdout.setEncoding("utf8").on("data", (text: string) => text.includes("waits for") && resolve());
    });
    child.kill("SIGKILL");
    await new Promise((resolve) => child.on("exit", resolve));
    expect(weftline("pause", "p.ts", "last").out).toContain("Left a message for run <run>: pause.");
    expect(weftline("unpause", "p.ts", "last").code).toBe(0);
    expect(weftline("cancel", "p.ts", "last", "--reason", "wrong day").code).toBe(0);
    expect(weftline("resume", "p.ts", "last").code).toBe(3);
    expect(weftline("show", "p.ts", "last").out).toContain("wrong day");
    expect(weftline("cancel", "p.ts", "last")).toMatchObject({ code: 2, out: "" });
  });

  it("compares definitions, of two files and with what a run ran with", () => {
    const { weftline } = project({
      "new.ts": FILE.replace(
        'p.task("publish", { needs: { shop } }',
        'p.task("upload", { needs: { shop }, title: "Up" }',
      ),
    });
    expect(weftline("diff", "p.ts", "p.ts")).toMatchObject({ code: 0, err: "" });
    const changed = weftline("diff", "p.ts", "new.ts", "--pipeline", "nightly");
    expect(changed).toMatchSnapshot();
    expect(weftline("diff", "p.ts").err).toContain("Say what to compare with");
    weftline("run", "p.ts", "nightly", "-q");
    expect(weftline("diff", "p.ts", "--run", "last")).toMatchObject({ code: 0, out: "no differences\n" });
    expect(weftline("diff", "new.ts", "--run", "last")).toMatchObject({ code: 1, out: changed.out });
    expect(weftline("rerun", "new.ts", "last", "--from", "shops").err).toContain("DAG_CHANGED");
  });

  it("explains what it cannot find", () => {
    const { weftline } = project({
      "memory.ts":
        'import { pipeline } from "weftline"; export const a = pipeline("a", (p) => { p.task("x", () => 1); });',
    });
    expect(weftline("runs", "memory.ts").err).toMatchInlineSnapshot(`
      "error: Cannot look at runs of memory.ts: it exports no storage, so its runs are kept in memory, and memory holds nothing after the process ends. Export a storage that keeps them, beside the pipelines:
        export const storage = …;            // a Storage, or a function that returns one
        export const engine = { storage };   // or options for createEngine()
      "
    `);
    expect(weftline("show", "p.ts", "last").err).toBe("error: RUN_UNKNOWN: there are no runs in this storage yet.\n");
    weftline("run", "p.ts", "nightly", "-q");
    expect(weftline("show", "p.ts", "nonsense").err).toContain(
      'RUN_UNKNOWN: there is no run "nonsense" in this storage. The newest are:\n  <run>',
    );
    expect(weftline("explain", "p.ts", "last", "shopz").err).toContain('Did you mean "shops"?');
    expect(weftline("cancel", "p.ts", "last", "--downstream").err).toContain("Name the task as well");
    expect(weftline("runs", "p.ts", "--status", "broken").err).toContain(
      'There is no status "broken". Use queued, running',
    );
  });
});
