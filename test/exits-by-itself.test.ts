import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const run = promisify(execFile);
const core = new URL("../packages/core/dist/", import.meta.url);

/** Runs a script against the built package in a process of its own, which gets five seconds to end by itself. */
async function output(script: string): Promise<string> {
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: fileURLToPath(core),
    timeout: 5_000,
  });
  return stdout.trim();
}

const prelude = `
  import { createEngine, pipeline, every } from ${JSON.stringify(new URL("index.js", core).href)};
  const quick = pipeline("quick", (p) => ({ value: p.task("value", () => 42) }));
`;

describe("F205 a process with an engine", () => {
  it("exits by itself when the engine was only created", async () => {
    expect(await output(`${prelude} createEngine({ pipelines: [quick] }); console.log("end");`)).toBe("end");
  });

  it("exits by itself when a started engine is idle, also without stop()", async () => {
    const script = `${prelude}
      const engine = createEngine({ pipelines: [quick] });
      console.log((await engine.run(quick)).value);
    `;
    expect(await output(script)).toBe("42");
  });

  it("does not exit while a run waits for its next attempt", async () => {
    const script = `${prelude}
      const slow = pipeline("slow", (p) => {
        p.task("twice", { retry: { attempts: 2, delay: "300ms", backoff: "fixed" } }, ({ attempt }) => {
          if (attempt === 1) throw new Error("once");
          console.log("second attempt");
        });
      });
      const engine = createEngine({ pipelines: [slow] });
      await engine.start();
      await engine.trigger(slow);
    `;
    expect(await output(script)).toBe("second attempt");
  });

  it("exits by itself after stop(), schedules and aborted tasks notwithstanding", async () => {
    const script = `${prelude}
      const hourly = pipeline("hourly", { schedule: every("1h") }, (p) => void p.task("only", () => 1));
      const stuck = pipeline("stuck", (p) => void p.task("only", ({ signal }) =>
        new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)))));
      const engine = createEngine({ pipelines: [quick, hourly, stuck] });
      await engine.start();
      await engine.trigger(stuck);
      await engine.stop({ grace: 0 });
      console.log("stopped");
    `;
    expect(await output(script)).toBe("stopped");
  });
});

describe("F204 both builds of the package in one process", () => {
  it("work side by side, each with its own engine", async () => {
    const script = `${prelude}
      import { createRequire } from "node:module";
      const cjs = createRequire(import.meta.url)(${JSON.stringify(fileURLToPath(new URL("index.cjs", core)))});
      const other = cjs.pipeline("other", (p) => ({ value: p.task("value", () => 43) }));
      const [a, b] = [createEngine({ pipelines: [quick] }), cjs.createEngine({ pipelines: [other] })];
      console.log((await a.run(quick)).value, (await b.run(other)).value);
      await Promise.all([a.stop(), b.stop()]);
    `;
    expect(await output(script)).toBe("42 43");
  });
});
