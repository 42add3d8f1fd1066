import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { CliIo } from "./io.js";
import { main } from "./main.js";
import { type FakeIo, fakeIo } from "./testing/fake-io.js";
import { tempProject } from "./testing/temp-project.js";

const PIPELINES = `
import { pipeline, SkipTask } from "weftline";

const params = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value: any) =>
      typeof value.day === "string" ? { value } : { issues: [{ message: "expected a text", path: ["day"] }] },
  },
} as const;

export const good = pipeline("good", { title: "All is well", defaults: { retry: { attempts: 3, delay: "5ms" } } }, (p) => {
  const numbers = p.task("numbers", ({ log, metric, run }) => {
    log("counting\\x1b[2J");
    metric("count", 3);
    return run.tags.length > 0 ? run.tags.map(Number) : [1, 2, 3];
  });
  const doubled = p.map("double", { over: numbers }, ({ item, attempt, metric }) => {
    if (item === 2 && attempt === 1) throw new Error("busy");
    if (item === 3) throw new SkipTask("odd enough");
    metric("doubled", item * 2);
    return item * 2;
  });
  p.task("file", ({ artifact }) => artifact({ name: "../report.txt", data: "hello" }));
  return { doubled };
});

export const bad = pipeline("bad", (p) => {
  const read = p.task("read", { retry: { attempts: 2, delay: 0 } }, ({ log }) => {
    log.warn("trying\\x1b]0;owned\\x07");
    throw new TypeError("cannot read", { cause: new Error("ENOENT \\x1b[31mdata.csv") });
  });
  p.task("write", { needs: { read } }, () => 1);
  p.task("optional", { allowFailure: true }, () => { throw new Error("never mind"); });
});

export const withParams = pipeline("with-params", { params }, (p) => {
  const echo = p.task("echo", ({ params, run }) => ({ ...params, key: run.key }));
  return { echo };
});

export const endless = pipeline("endless", (p) => {
  p.task("wait", ({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))));
});

export const deaf = pipeline("deaf", (p) => {
  p.task("wait", () => new Promise(() => {}));
});

export const lending = pipeline("lending", (p) => {
  const lent = p.task("use", ({ resources }: any) => resources.name);
  return { lent };
});

export const loud = pipeline("loud", (p) => {
  p.task("print", () => console.log("from the task"));
});

(globalThis as any).disposals = 0;
export const resources = async () => ({ name: "database", [Symbol.asyncDispose]: async () => { (globalThis as any).disposals++; } });
`;

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly folder: string;
}

/** What differs from run to run is replaced. */
function stable(text: string): string {
  return text
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]+/g, "<run>")
    .replace(/\b\d+(\.\d+)?m?s\b/g, "<time>")
    .replace(/^ +<time>/gm, "  <time>");
}

async function weftline(args: string, options: Partial<CliIo> = {}): Promise<Outcome> {
  const folder = tempProject({ "p.ts": PIPELINES });
  const io = fakeIo({ cwd: folder, ...options });
  const code = await main(args.split(" ").filter(Boolean), io);
  return { code, out: stable(io.out()), err: stable(io.err()), folder };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe("weftline run", () => {
  it("reports a run that succeeded", async () => {
    const { code, out, err } = await weftline("run p.ts good --concurrency 1");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toContain("numbers      | counting\n");
    expect(out).toContain("double[1]    ↻ retrying, attempt 2 in <time>, Error: busy");
    expect(out.slice(out.indexOf("✓ good"))).toMatchSnapshot();
  });

  it("reports a run that failed: the task, its attempts, the causes and its last words", async () => {
    const { code, out, err } = await weftline("run p.ts bad");
    expect({ code, err }).toEqual({ code: 1, err: "" });
    expect(out.slice(out.indexOf("✗ bad"))).toMatchSnapshot();
  });

  it("shows stacks when asked", async () => {
    const without = await weftline("run p.ts bad");
    const { out } = await weftline("run p.ts bad --stack");
    expect(without.out).not.toMatch(/^ +at /m);
    expect(out).toMatch(/TypeError: cannot read\n +at .*p\.ts:\d+:\d+/);
  });

  it("never passes on escapes of the tasks", async () => {
    for (const args of ["run p.ts good", "run p.ts bad", "run p.ts bad --stack", "run p.ts bad --json"]) {
      const { out, err } = await weftline(args);
      expect(out + err).not.toMatch(/(?!\n)\p{Cc}/u);
    }
  });

  it("prints events and the outcome as JSON", async () => {
    const { code, out, err } = await weftline("run p.ts good --json --key k1 --tag 5 --tag 6");
    const lines = out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(lines[0]).toMatchObject({ event: "run:started", pipeline: "good" });
    expect(new Set(lines.map(({ event }) => event))).toContain("task:finished");
    expect(lines.at(-1)).toMatchObject({
      event: "outcome",
      exitCode: 0,
      status: "succeeded",
      tasks: { succeeded: 3 },
      maps: [{ task: "double", items: { succeeded: 2 } }],
      result: { doubled: [10, 12] },
      metrics: [
        { task: "numbers", name: "count", count: 1, last: 3 },
        { task: "double", name: "doubled", count: 2, mean: 11 },
      ],
      artifacts: [{ task: "file", name: "../report.txt", size: 5 }],
      failures: [],
    });
  });

  it("says in JSON what failed, without stacks unless asked", async () => {
    const { code, out } = await weftline("run p.ts bad --json --quiet");
    const outcome = JSON.parse(out);
    expect(code).toBe(1);
    expect(outcome).toMatchObject({ event: "outcome", exitCode: 1, status: "failed", notRun: ["write"] });
    expect(outcome.failures[0]).toMatchObject({
      task: "read",
      attempts: 2,
      error: { name: "TypeError", message: "cannot read", cause: { name: "Error" } },
      isAllowed: false,
    });
    expect(out).not.toContain("stack");
    expect((await weftline("run p.ts bad --json --quiet --stack")).out).toContain('"stack"');
  });

  it("keeps what tasks print out of the JSON", async () => {
    let capture: ((text: string) => void) | undefined;
    const original = console.log;
    console.log = (text: string) => capture?.(`${text}\n`);
    const { out, err } = await weftline("run p.ts loud --json", {
      captureOutput: (listener) => {
        capture = listener;
        return () => {
          console.log = original;
        };
      },
    });
    expect(err).toBe("from the task\n");
    for (const line of out.trimEnd().split("\n")) expect(() => JSON.parse(line)).not.toThrow();
  });

  it("is quiet when asked: nothing of success, of failure what failed", async () => {
    expect(await weftline("run p.ts good -q")).toMatchObject({ code: 0, out: "", err: "" });
    const { code, out, err } = await weftline("run p.ts bad -q");
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain("✗ read failed after 2 attempts");
  });

  it("hands over params, and refuses wrong ones before anything runs", async () => {
    const { code, out } = await weftline("run p.ts with-params -p day=2026-11-22 -p n=5 --key k1");
    expect(code).toBe(0);
    expect(out).toContain("{ echo: { day: '2026-11-22', n: 5, key: 'k1' } }");
    const refused = await weftline("run p.ts with-params -p day=5");
    expect(refused).toMatchObject({ code: 2, out: "" });
    expect(refused.err).toMatch(/^error: PARAMS_INVALID: .*day: expected a text/);
    expect(await weftline("run p.ts good -p day=5")).toMatchObject({ code: 2, out: "" });
  });

  it("lends the resources of the file and disposes of them", async () => {
    const { out } = await weftline("run p.ts lending");
    expect(out).toContain("{ lent: 'database' }");
    expect((globalThis as { disposals?: number }).disposals).toBe(1);
  });

  it("runs on the engine that the file describes", async () => {
    const file = `import { inProcess, pipeline } from "weftline";
      export const a = pipeline("a", (p) => {
        const lent = p.task("x", { pool: "gpu", executor: "cpu" }, ({ resources }: any) => resources.n);
        return { lent };
      });
      export const engine = async () => ({ pools: { gpu: 1 }, executors: { cpu: inProcess() }, resources: { n: 5 } });`;
    const io = fakeIo({ cwd: tempProject({ "e.ts": file }) });
    expect(await main(["run", "e.ts"], io)).toBe(0);
    expect(io.out()).toContain("{ lent: 5 }");
    const without = fakeIo({ cwd: tempProject({ "e.ts": file.replace("const engine", "const other") }) });
    expect(await main(["run", "e.ts"], without)).toBe(2);
    expect(without.err()).toContain('asks for pool "gpu"');
  });

  it("writes artifacts into the folder and nowhere else", async () => {
    const { code, out, folder } = await weftline("run p.ts good --artifacts out/files");
    expect(code).toBe(0);
    expect(out).toContain("written to out/files/report.txt");
    expect(readdirSync(folder).sort()).toEqual(["out", "p.ts"]);
    expect(readFileSync(join(folder, "out/files/report.txt"), "utf8")).toBe("hello");
  });

  it("checks the folder for artifacts before the run", async () => {
    const { code, out, err } = await weftline("run p.ts good --artifacts p.ts");
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain("Cannot write artifacts into");
  });

  describe("on an interrupt", () => {
    async function interrupted(id: string, act: (io: FakeIo) => void): Promise<{ code: number; io: FakeIo }> {
      const io = fakeIo({ cwd: tempProject({ "p.ts": PIPELINES }) });
      const ended = main(["run", "p.ts", id], io);
      await until(() => io.out().includes("▸ started"));
      act(io);
      return { code: await ended, io };
    }

    it("cancels the run, says so, and exits with 130", async () => {
      const { code, io } = await interrupted("endless", (io) => io.interrupt());
      expect(code).toBe(130);
      expect(io.out()).toContain("Cancelling the run. Press Ctrl-C again to exit at once.");
      expect(io.out()).toContain("■ endless cancelled");
    });

    it("exits with 3 when it was asked to terminate", async () => {
      const { code } = await interrupted("endless", (io) => io.interrupt("SIGTERM"));
      expect(code).toBe(3);
    });

    it("does not wait after the second, whatever the tasks do", async () => {
      const before = Date.now();
      const { code } = await interrupted("deaf", (io) => {
        io.interrupt();
        io.interrupt();
      });
      expect(code).toBe(130);
      expect(Date.now() - before).toBeLessThan(4_000);
      expect((globalThis as { disposals?: number }).disposals).toBe(0);
    });
  });

  it("draws the tree in a terminal, and leaves the last picture standing", async () => {
    const folder = tempProject({ "p.ts": PIPELINES });
    const io = fakeIo({ cwd: folder, isTTY: true, columns: 60, rows: 12 });
    expect(await main(["run", "p.ts", "good"], io)).toBe(0);
    expect(io.out().startsWith("\x1b[?25l")).toBe(true);
    expect(io.out()).toContain("\x1b[?25h");
    expect(io.out()).toContain("\x1b[32m  ✓ \x1b[39mnumbers");
    expect(io.out()).not.toContain("\x1b[2J");
  });

  it("draws without colours under NO_COLOR, and plain lines on a dumb terminal", async () => {
    const folder = tempProject({ "p.ts": PIPELINES });
    const plain = fakeIo({ cwd: folder, isTTY: true, env: { NO_COLOR: "1" } });
    await main(["run", "p.ts", "good"], plain);
    expect(plain.out()).toContain("\x1b[?25l");
    expect(plain.out()).not.toContain("\x1b[3");
    const dumb = fakeIo({ cwd: folder, isTTY: true, env: { TERM: "dumb" } });
    await main(["run", "p.ts", "good"], dumb);
    expect(dumb.out()).not.toContain("\x1b");
  });
});

describe("weftline graph", () => {
  it("shows a tree, Mermaid or DOT", async () => {
    const tree = await weftline("graph p.ts good");
    expect(tree.code).toBe(0);
    expect(tree.out).toMatch(/^good: 3 tasks in 2 steps, 1 edge\nAll is well\n/);
    expect((await weftline("graph p.ts good --format mermaid")).out).toMatch(/^flowchart LR\n.*\n$/s);
    expect((await weftline("graph p.ts good -f dot")).out).toMatch(/^digraph "good" \{\n.*\}\n$/s);
  });

  it("does not ask for resources", async () => {
    const file = `${PIPELINES.replace("export const resources = async () =>", "export const resources = () => { throw new Error('no'); }; const unused = () =>")}`;
    const io = fakeIo({ cwd: tempProject({ "q.ts": file }) });
    expect(await main(["graph", "q.ts", "good"], io)).toBe(0);
  });
});

describe("weftline", () => {
  const commands = [
    "runs",
    "show",
    "logs",
    "explain",
    "verify",
    "resume",
    "rerun",
    "cancel",
    "pause",
    "signal",
    "delete",
    "diff",
    "remap",
    "prune",
    "health",
    "migrate",
  ];

  it.each(["--help", "help", "run --help", "help graph", ...commands.map((name) => `${name} --help`)])(
    "%s is help",
    async (args) => {
      const { code, out, err } = await weftline(args);
      expect({ code, err }).toEqual({ code: 0, err: "" });
      expect(out).toMatchSnapshot();
    },
  );

  it("--version prints the version", async () => {
    expect((await weftline("--version")).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each([
    ["", "Usage: weftline"],
    ["rnu p.ts", "Did you mean run?"],
    ["run p.ts good --parms x", "Did you mean --params?"],
    ["run", "missing required argument 'file'"],
    ["run p.ts good --concurrency 0", "Give a whole number from 1."],
    ["run p.ts good --concurrency many", "Give a whole number from 1."],
    ["run p.ts good extra", "too many arguments"],
    ["run p.ts", "Name the pipeline, as p.ts exports 7:"],
    ["run p.ts goood", 'Did you mean "good"?'],
    ["run none.ts", "no such file"],
    ["run p.ts with-params --params {", "Cannot read --params as JSON"],
    ["runs p.ts", "Cannot look at runs of p.ts: it exports no storage, so its runs are kept in memory"],
    ["resume p.ts last", "export const storage = …"],
    ["rerun p.ts last", "required option '--from <tasks>' not specified"],
    ["rerun p.ts last --from ,", "Give at least one name."],
    ["cancel p.ts last --task a --index x", "Give the index of an item"],
    ["logs p.ts last --level loud", "Use debug, info, warn, error."],
    ["diff p.ts --run last p.ts", "not both"],
    ["remap p.ts last --task fetch", "Give the old and the new id, as old=new."],
    ["remap p.ts last --task a=b --drop a", 'Say once what becomes of task "a".'],
    ["prune p.ts", "required option '--older-than <duration>' not specified"],
    ["prune p.ts --older-than soon", "DURATION_INVALID: Cannot read --older-than"],
    ["health p.ts", "Cannot look at runs of p.ts: it exports no storage"],
    ["migrate p.ts", "Cannot migrate the storage of p.ts: it exports none. Export it:"],
    ["migrate p.ts --check --print", "not both"],
    ["migrate p.ts --from 1", "--from goes with --print alone."],
    ["migrate p.ts --print --from x", "Give the number of a version, from 0."],
    ["graph p.ts good --format svg", "Allowed choices are tree, mermaid, dot."],
  ])("%s is a usage error", async (args, expected) => {
    const { code, out, err } = await weftline(args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(expected);
    expect(err).not.toMatch(/^ +at /m);
  });
});
