// Packs every public package and judges the tarball: its licence, the exports map (publint) and the types (attw).
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const windows = process.platform === "win32";

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { stdio: "inherit", encoding: "utf8", shell: windows, ...options });
  if (result.error) throw result.error;
  return result;
}

const folders = ["packages", "adapters"]
  .filter((parent) => existsSync(parent))
  .flatMap((parent) => readdirSync(parent).map((name) => join(parent, name)))
  .filter((folder) => existsSync(join(folder, "package.json")));

const target = mkdtempSync(join(tmpdir(), "weftline-packages-"));
const failed = [];
try {
  for (const folder of folders) {
    const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    if (manifest.private) continue;
    console.log(`\n${manifest.name}`);
    const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", target];
    const packed = run("npm", args, { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
    if (packed.status !== 0) {
      failed.push(manifest.name);
      continue;
    }
    // npm 10 prints a list, npm 11 an object by package name.
    const [{ filename, size, files }] = Object.values(JSON.parse(packed.stdout));
    console.log(`${filename}: ${files.length} files, ${(size / 1024).toFixed(1)} kB`);
    const tarball = join(target, filename);
    // Without a "require" condition a package is for ES modules only, and attw need not try it as CommonJS.
    const profile = JSON.stringify(manifest.exports).includes('"require"') ? "strict" : "esm-only";
    const publint = run("publint", ["run", tarball, "--strict"]);
    const attw = run("attw", [tarball, "--profile", profile, "--format", "ascii", "--no-emoji"]);
    const licensed = files.some(({ path }) => path === "LICENSE");
    if (!licensed) console.error("LICENSE is not in the tarball: copy it into the package folder");
    if (!licensed || publint.status !== 0 || attw.status !== 0) failed.push(manifest.name);
  }
} finally {
  rmSync(target, { recursive: true, force: true });
}
if (failed.length > 0) {
  console.error(`\nNot fit to publish: ${failed.join(", ")}`);
  process.exit(1);
}
