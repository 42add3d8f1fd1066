import { describe, expect, it } from "vitest";
import { WeftlineError } from "weftline";
import { throwOwn, values } from "./cases.js";
import { entry, Told } from "./entry.js";
import { fuzz } from "./fuzz.js";
import { hostile } from "./hostile.js";
import { faultOf, SECRET } from "./oracles.js";

const fault = (refusal: unknown) => faultOf(refusal, ["options"]);

describe("faultOf()", () => {
  it.each([
    [
      "a coded error",
      new WeftlineError("TASK_INVALID", 'Cannot define task "a": when is not a function. Give a function.'),
    ],
    ["a plain error that names an argument", new TypeError("options is a text: give an object")],
  ])("accepts %s", (_what, refusal) => {
    expect(fault(refusal)).toBeUndefined();
  });

  it("accepts what the caller's own code threw, and nothing that only looks like it", () => {
    const own = new Error("own");
    expect(() => throwOwn(own)).toThrow("own");
    expect(fault(own)).toBeUndefined();
    expect(fault(new Error("own"))).toMatch(/neither coded/);
  });

  it.each([
    [
      "a code that is not documented",
      Object.assign(new WeftlineError("TASK_INVALID", "x"), { code: "NEW_CODE" }),
      /not documented/,
    ],
    [
      "a message without its code",
      Object.assign(new WeftlineError("TASK_INVALID", "x"), { message: "x" }),
      /does not begin/,
    ],
    ["a stumble", new TypeError("Cannot read properties of undefined (reading 'options')"), /stumble/],
    [
      "a stumble inside of a coded message",
      new WeftlineError("TASK_INVALID", "because a.b is not a function"),
      /stumble/,
    ],
    ["a plain error that names nothing", new TypeError("that is wrong"), /names no argument/],
    ["another kind of error", new SyntaxError("options"), /neither coded/],
    ["no error", "text", /threw no error/],
    ["a path", new WeftlineError("TASK_INVALID", `in ${import.meta.url}`), /a path/],
    ["a stack", new WeftlineError("TASK_INVALID", "x\n    at Engine.run (engine:1:2)"), /a stack/],
    ["SQL", new WeftlineError("QUERY_INVALID", "SELECT 1 FROM runs"), /SQL/],
    ["a secret", new WeftlineError("RUN_UNKNOWN", SECRET), /secret/],
    ["a very long message", new WeftlineError("RUN_UNKNOWN", "x".repeat(30_000)), /30013 characters/],
  ])("finds %s", (_what, refusal, what) => {
    expect(fault(refusal)).toMatch(what);
  });
});

describe("fuzz()", () => {
  const run = (call: Parameters<typeof entry>[2]) =>
    fuzz(entry("tried", { value: values(1) }, call), { runs: 5, seed: 1 });
  const faults = async (call: Parameters<typeof entry>[2]) => (await run(call)).findings.map(({ fault }) => fault);

  it("finds nothing where nothing is wrong, and counts", async () => {
    expect(await run(() => 1)).toEqual({ calls: 5, refusals: 0, findings: [] });
  });

  it("finds that the engine is dead", async () => {
    expect(await faults((world) => world.engine.stop())).toEqual([
      expect.stringMatching(/^a probe run failed: .*ENGINE_STOPPED/),
    ]);
  });

  it("finds a rejection that nobody can catch", async () => {
    const found = await faults(async () => {
      void Promise.reject(new Error("lost"));
      await new Promise((resolve) => setImmediate(resolve));
    });
    expect(found[0]).toMatch(/nobody can catch: Error: lost/);
  });

  it("finds what a report of a failure leaks", async () => {
    expect(await faults(() => new Told(SECRET))).toEqual([expect.stringMatching(/secret/)]);
  });

  it("calls with the same cases for the same seed", async () => {
    const seen: string[] = [];
    const noting = entry(
      "noted",
      { value: hostile.map((made) => ({ ...made, make: () => made.name })) },
      (_world, name: never) => seen.push(name),
    );
    for (const seed of [1, 1, 2]) await fuzz(noting, { runs: 10, seed });
    expect(seen.slice(0, 10)).toEqual(seen.slice(10, 20));
    expect(seen.slice(0, 10)).not.toEqual(seen.slice(20));
  });
});
