import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { prepareFolder, safeFileNames, saveArtifacts } from "./artifacts.js";
import { tempProject } from "./testing/temp-project.js";

const nameOf = (name: string) => safeFileNames([name]).get(name);

describe("safeFileNames()", () => {
  it.each([
    ["report.html", "report.html"],
    ["Übersicht 日本.csv", "Übersicht 日本.csv"],
    ["../../etc/passwd", "etc_passwd"],
    ["/etc/passwd", "etc_passwd"],
    ["plots/2026/a.png", "plots_2026_a.png"],
    ["..\\..\\boot.ini", "boot.ini"],
    ["C:\\boot.ini", "C__boot.ini"],
    ["..", "_"],
    [".", "_"],
    ["", "_"],
    [".env", "_env"],
    ["a\0b\nc", "a_b_c"],
    ['<>:"|?*', "_______"],
    ["name. . ", "name"],
    ["con", "_con"],
    ["NUL.txt", "_NUL.txt"],
    ["console.txt", "console.txt"],
    ["txt.\u202egnp", "txt._gnp"],
  ])("makes %j %j", (name, expected) => {
    expect(nameOf(name)).toBe(expected);
  });

  it("bounds the length in bytes and keeps the extension", () => {
    const name = nameOf(`${"長".repeat(300)}.json`)!;
    expect(Buffer.byteLength(name)).toBeLessThanOrEqual(200);
    expect(name.endsWith(".json")).toBe(true);
    expect(nameOf("🎉".repeat(100))!.isWellFormed()).toBe(true);
  });

  it("keeps names apart that would become one file, also where case does not count", () => {
    const names = safeFileNames(["a/b.txt", "a_b.txt", "A_B.TXT", "notes", "notes/"]);
    expect([...names.values()]).toEqual(["a_b.txt", "a_b-2.txt", "A_B-3.TXT", "notes", "notes-2"]);
  });
});

const artifact = (name: string, text: string) => ({
  runId: "r",
  task: "t",
  index: [],
  generation: 1,
  attempt: 1,
  at: 0,
  name,
  contentType: "text/plain",
  size: text.length,
  data: Buffer.from(text),
});

describe("saveArtifacts()", () => {
  it("writes into the folder only, and says where", async () => {
    const root = tempProject({ "outside.txt": "mine" });
    const folder = join(root, "out");
    prepareFolder(folder);
    const artifacts = [artifact("../outside.txt", "theirs"), artifact("ok.txt", "ok")];
    const saved = await saveArtifacts(artifacts, folder, async (name) => artifacts.find((one) => one.name === name));
    expect(readFileSync(join(root, "outside.txt"), "utf8")).toBe("mine");
    expect(readdirSync(folder).sort()).toEqual(["ok.txt", "outside.txt"]);
    expect(saved.get("ok.txt")).toEqual({ path: join(folder, "ok.txt"), problem: undefined });
  });

  it("goes on after one that cannot be written", async () => {
    const folder = tempProject({ "taken/file": "" });
    const artifacts = [artifact("taken", "x"), artifact("ok.txt", "ok")];
    const saved = await saveArtifacts(artifacts, folder, async (name) => artifacts.find((one) => one.name === name));
    expect(saved.get("taken")?.problem).toContain("EISDIR");
    expect(readFileSync(join(folder, "ok.txt"), "utf8")).toBe("ok");
  });
});

it("prepareFolder() refuses what is a file", () => {
  const folder = tempProject({ file: "" });
  expect(() => prepareFolder(join(folder, "file"))).toThrow("Cannot write artifacts into");
});
