import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openWitnessFile } from "./witness-file.js";
import { parseWitness } from "./witness-lines.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "witness-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const LINE = { runId: "r1", task: "a", index: [], attempt: 1, phase: "start" } as const;

describe("openWitnessFile()", () => {
  it("appends lines that parseWitness() reads, from several writers, and keeps what was there", () => {
    const path = join(folder, "w.jsonl");
    const one = openWitnessFile(path);
    const other = openWitnessFile(path);
    one.write({ ...LINE, at: 1 });
    other.write({ ...LINE, at: 2, execution: "mine" });
    one.close();
    other.close();
    const again = openWitnessFile(path);
    again.write({ ...LINE, phase: "end" });
    again.close();
    const lines = parseWitness(readFileSync(path, "utf8"));
    expect(lines.map(({ phase }) => phase)).toEqual(["start", "start", "end"]);
    expect(lines[0]).toMatchObject({ at: 1, execution: String(process.pid) });
    expect(lines[1]).toMatchObject({ at: 2, execution: "mine" });
  });
});

describe("parseWitness()", () => {
  const whole = JSON.stringify({ ...LINE, at: 1 });

  it("drops a torn last line, and one into which another writer's began", () => {
    const path = join(folder, "w.jsonl");
    appendFileSync(path, `${whole}\n${whole.slice(0, 20)}`);
    expect(parseWitness(readFileSync(path, "utf8"))).toHaveLength(1);
    appendFileSync(path, `\n${whole}\n`);
    expect(parseWitness(readFileSync(path, "utf8"))).toHaveLength(2);
  });

  it("refuses a whole line that is no witness", () => {
    expect(() => parseWitness(`{"some":"thing"}\n${whole}\n`)).toThrow(/line 1/);
  });
});
