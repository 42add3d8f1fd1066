import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { tempProject } from "./testing/temp-project.js";

const BIN = fileURLToPath(new URL("../bin/weftline.js", import.meta.url));

const PIPELINES = `
import { pipeline } from "weftline";
export const good = pipeline("good", (p) => {
  const a = p.task("a", () => { console.log("printed by a task"); return 1; });
  p.map("many", { over: [1, 2, 3] }, ({ item }) => item);
  return { a };
});
export const bad = pipeline("bad", (p) => { p.task("a", () => { throw new Error("broken"); }); });
export const endless = pipeline("endless", (p) => {
  p.task("wait", ({ signal }) => new Promise((_, reject) => {
    const timer = setInterval(() => {}, 1_000);
    signal.addEventListener("abort", () => { clearInterval(timer); reject(signal.reason); });
  }));
});
export const deaf = pipeline("deaf", (p) => { p.task("wait", () => new Promise(() => setInterval(() => {}, 1_000))); });
// What a connection does that nobody closes.
setInterval(() => {}, 1_000);
`;

function weftline(...args: string[]) {
  const cwd = tempProject({ "p.ts": PIPELINES });
  return spawnSync(process.execPath, [BIN, ...args], { cwd, encoding: "utf8", timeout: 20_000 });
}

/** Starts the command, sends the signals once it runs, each a moment after the other, and waits for its end. */
async function interrupted(id: string, signals: readonly NodeJS.Signals[]) {
  const cwd = tempProject({ "p.ts": PIPELINES });
  const child = spawn(process.execPath, [BIN, "run", "p.ts", id], { cwd, stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  let sent = 0;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
    const due = out.includes("Cancelling") ? 2 : out.includes("started") ? 1 : 0;
    while (sent < Math.min(due, signals.length)) child.kill(signals[sent++]);
  });
  const code = await new Promise((resolve) => child.on("exit", (code, signal) => resolve(signal ?? code)));
  return { code, out };
}

describe("the command as a process", () => {
  it.each([
    [0, ["run", "p.ts", "good"]],
    [1, ["run", "p.ts", "bad"]],
    [2, ["run", "p.ts"]],
    [2, ["run", "none.ts"]],
    [2, ["unknown"]],
    [0, ["graph", "p.ts", "good"]],
    [0, ["--help"]],
  ])("exits with %d after %o", (code, args) => {
    expect(weftline(...args)).toMatchObject({ status: code, signal: null });
  });

  it("prints JSON only on standard output, whatever tasks print", () => {
    const { stdout, stderr } = weftline("run", "p.ts", "good", "--json");
    for (const line of stdout.trimEnd().split("\n")) expect(JSON.parse(line)).toHaveProperty("event");
    expect(stderr).toBe("printed by a task\n");
  });

  it("writes no escapes into a pipe", () => {
    const { stdout, stderr } = weftline("run", "p.ts", "good");
    expect(stdout).toContain("printed by a task\n");
    expect(stdout + stderr).not.toContain("\x1b");
  });

  it("cancels on Ctrl-C and exits with 130", async () => {
    const { code, out } = await interrupted("endless", ["SIGINT"]);
    expect(out).toContain("■ endless cancelled");
    expect(code).toBe(130);
  });

  it("exits at once on the second Ctrl-C", async () => {
    const before = Date.now();
    const { code } = await interrupted("deaf", ["SIGINT", "SIGINT"]);
    expect(code).toBe(130);
    expect(Date.now() - before).toBeLessThan(4_500);
  });

  it("cancels when asked to terminate and exits with 3", async () => {
    expect((await interrupted("endless", ["SIGTERM"])).code).toBe(3);
  });

  it("finishes the run when its reader leaves", async () => {
    const cwd = tempProject({ "p.ts": PIPELINES });
    const child = spawn(process.execPath, [BIN, "run", "p.ts", "good"], { cwd, stdio: ["ignore", "pipe", "inherit"] });
    child.stdout.destroy();
    expect(await new Promise((resolve) => child.on("exit", resolve))).toBe(0);
  });
});

// Of util-linux: gives a program a terminal of its own. Other systems have no such tool, or one with other options.
const SCRIPT = "/usr/bin/script";
const hasScript = spawnSync(SCRIPT, ["--version"], { encoding: "utf8" }).stdout?.includes("util-linux") ?? false;

describe.skipIf(!hasScript)("the command in a terminal", () => {
  const inTerminal = (cwd: string, args: string) =>
    spawn(
      SCRIPT,
      ["--quiet", "--return", "--command", `stty rows 12 cols 40; '${process.execPath}' '${BIN}' ${args}`, "/dev/null"],
      {
        cwd,
        env: { ...process.env, TERM: "xterm-256color", NO_COLOR: "" },
      },
    );

  it("draws, keeps what tasks print above the picture, and gives the cursor back", async () => {
    const child = inTerminal(tempProject({ "p.ts": PIPELINES }), "run p.ts good");
    let out = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
    const code = await new Promise((resolve) => child.on("exit", resolve));
    expect(code).toBe(0);
    expect(out).toContain("\x1b[?25l");
    expect(out).toContain("printed by a task\r\n");
    const lastPicture = out.slice(out.indexOf("printed by a task\r\n"));
    expect(lastPicture).toMatch(/good.*succeeded/);
    expect(lastPicture).toContain("3/3");
    expect(out.lastIndexOf("\x1b[?25h")).toBeGreaterThan(out.lastIndexOf("\x1b[?25l"));
  });

  it("hears the keys of Ctrl-C", async () => {
    const child = inTerminal(tempProject({ "p.ts": PIPELINES }), "run p.ts endless");
    let out = "";
    let isPressed = false;
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text;
      if (isPressed || !out.includes("running")) return;
      isPressed = true;
      child.stdin.write("\x03");
    });
    expect(await new Promise((resolve) => child.on("exit", resolve))).toBe(130);
    expect(out).toContain("Press Ctrl-C again to exit at once.");
    expect(out).toContain("cancelled");
  });
});
