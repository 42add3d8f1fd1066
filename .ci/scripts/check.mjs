// Everything CI wants besides the tests. Runs every step, also after a failure, and lists the results.
//
//   npm run check                          all steps
//   npm run check -- check:types check:lint   these steps; each is also a script of its own
import { spawnSync } from "node:child_process";

const STEPS = [
  "lock:check",
  "check:format",
  "check:lint",
  "check:unused",
  "check:types",
  "check:packages",
  "check:size",
];

const chosen = process.argv.slice(2);
const unknown = chosen.find((name) => !STEPS.includes(name));
if (unknown) throw new Error(`Unknown step "${unknown}", known: ${STEPS.join(", ")}`);

const results = STEPS.filter((name) => chosen.length === 0 || chosen.includes(name)).map((name) => {
  console.log(`\n> ${name}`);
  const start = Date.now();
  const { status } = spawnSync("npm", ["run", "--silent", name], {
    stdio: "inherit",
    // On Windows `npm` is a .cmd file, which only a shell can start.
    shell: process.platform === "win32",
  });
  return { name, ok: status === 0, seconds: ((Date.now() - start) / 1000).toFixed(1) };
});

console.log();
for (const { name, ok, seconds } of results)
  console.log(`${ok ? "ok    " : "FAILED"}  ${name.padEnd(15)} ${seconds} s`);
if (results.some(({ ok }) => !ok)) process.exit(1);
