// Keeps package-lock.json usable on every platform and with every registry.
//
//   node .ci/scripts/lock.mjs complete   adds what is missing
//   node .ci/scripts/lock.mjs check      fails when something is missing, or when a download address is recorded
//
// npm may write the lock file with the binaries of the current platform only (npm/cli #4828, #9846). `npm ci` then
// refuses the file, and other platforms get no binary of biome, rollup or oxlint.
import { readFileSync, writeFileSync } from "node:fs";

const file = new URL("../../package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(file, "utf8"));

const OS = {
  aix: "aix",
  android: "android",
  darwin: "darwin",
  freebsd: "freebsd",
  linux: "linux",
  netbsd: "netbsd",
  openbsd: "openbsd",
  openharmony: "openharmony",
  sunos: "sunos",
  win32: "win32",
  windows: "win32",
};
const CPU = {
  64: "x64",
  arm: "arm",
  arm64: "arm64",
  ia32: "ia32",
  loong64: "loong64",
  mips64el: "mips64el",
  ppc64: "ppc64",
  riscv64: "riscv64",
  s390x: "s390x",
  wasm32: "wasm32",
  x64: "x64",
};
const LIBC = { gnu: "glibc", gnueabihf: "glibc", musl: "musl", musleabihf: "musl" };

/** `os`, `cpu` and `libc` from a name such as `@rollup/rollup-linux-arm64-musl`. */
function platformOf(name) {
  const words = name.replace(/^@[^/]+\//, "").split(/[-.]/);
  const pick = (table) => words.map((word) => table[word]).find((value) => value !== undefined);
  const [os, cpu, libc] = [pick(OS), pick(CPU), pick(LIBC)];
  return { ...(cpu && { cpu: [cpu] }), ...(os === "linux" && libc && { libc: [libc] }), ...(os && { os: [os] }) };
}

/** Where Node would find `name` when required from `folder`: the nearest node_modules upwards. */
function find(folder, name) {
  for (let at = folder; ; at = at.slice(0, Math.max(0, at.lastIndexOf("node_modules/") - 1))) {
    const path = `${at && `${at}/`}node_modules/${name}`;
    if (lock.packages[path]) return lock.packages[path];
    if (at === "") return undefined;
  }
}

/** Optional dependencies given as an exact version that have no entry of that version. */
function missing() {
  return Object.entries(lock.packages).flatMap(([folder, owner]) =>
    Object.entries(owner.optionalDependencies ?? {})
      .filter(([, version]) => /^\d+\.\d+\.\d+[^\s|]*$/.test(version))
      .filter(([name, version]) => find(folder, name)?.version !== version)
      .map(([name, version]) => ({ folder, owner, name, version })),
  );
}

/** Entries that name the place they were downloaded from; links between workspaces are local folders. */
function addresses() {
  return Object.entries(lock.packages).filter(([, entry]) => /^[a-z+]+:/.test(entry.resolved ?? ""));
}

function complete() {
  const added = missing();
  for (const { folder, owner, name, version } of added) {
    const platform = platformOf(name);
    if (!platform.os && !platform.cpu) throw new Error(`Cannot tell the platform of "${name}" from its name`);
    const top = `node_modules/${name}`;
    // Without `integrity`: npm has not looked at packages of other platforms, and this script does not go online.
    lock.packages[lock.packages[top] ? `${folder}/${top}` : top] = {
      version,
      ...(owner.dev && { dev: true }),
      optional: true,
      ...platform,
    };
  }
  lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, "en")));
  writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`package-lock.json: ${added.length} entries added`);
}

function check() {
  const problems = [
    ...missing().map(({ name, version }) => `no entry for ${name}@${version} (run: npm run lock:complete)`),
    ...addresses().map(([path]) => `${path} records a download address (see .npmrc)`),
  ];
  for (const problem of problems.slice(0, 10)) console.error(`package-lock.json: ${problem}`);
  if (problems.length > 10) console.error(`package-lock.json: and ${problems.length - 10} more`);
  if (problems.length > 0) process.exit(1);
  console.log(`package-lock.json: complete, ${Object.keys(lock.packages).length} entries, no download addresses`);
}

const command = { complete, check }[process.argv[2]];
if (!command) throw new Error("Usage: lock.mjs complete | check");
command();
