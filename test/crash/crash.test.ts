import { describe, expect, it } from "vitest";
import { crash } from "./run-command.js";

describe("a process on SQLite that is killed", { timeout: 120_000 }, () => {
  it("at any failpoint: others bring its run to the same end, lose nothing and repeat nothing confirmed", async () => {
    const { code, output } = await crash("--sqlite", "--sample", "10");
    console.log(output.trim());
    expect(code, output).toBe(0);
  });

  it("on a storage that confirms a commit too early, or leaves something out: that is found", async () => {
    const found = await crash("--sqlite", "--sample", "1", "--sabotage", "drops-outputs");
    expect(found.code).toBe(1);
    expect(found.output).toMatch(/PROBLEM: .*invariant 24.* is not there as a whole/);
  });

  it("on a storage that makes two runs of one instant of a schedule: that is found", async () => {
    const found = await crash("--sqlite", "--sample", "1", "--sabotage", "fires-twice");
    expect(found.code).toBe(1);
    expect(found.output).toMatch(/PROBLEM: .*invariant 29.* two runs stand for instant/);
  });
});

describe("a copy of a database on SQLite", { timeout: 120_000 }, () => {
  it("with its log cut anywhere holds all transactions up to there, each as a whole, and nothing else", async () => {
    const { code, output } = await crash("--log-cuts", "--sample", "60");
    console.log(output.trim());
    expect(code, output).toBe(0);
  });

  it("of a storage that writes a flush in two transactions: that is found", async () => {
    const found = await crash("--log-cuts", "--sample", "24", "--sabotage", "tears-flushes");
    expect(found.code).toBe(1);
    expect(found.output).toMatch(/PROBLEM: copy \d+ with \d+ bytes of log.* has to be/);
  });
});

it("a command that makes no sense ends with 2 and says what there is", async () => {
  const { code, output } = await crash("--oracle");
  expect(code).toBe(2);
  expect(output).toContain("Usage: npm run crash");
}, 60_000);
