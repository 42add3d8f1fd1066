// Builds through turbo and stays silent unless it fails. Arguments go to `turbo run build`.
import { spawnSync } from "node:child_process";

const result = spawnSync("turbo", ["run", "build", "--output-logs=errors-only", ...process.argv.slice(2)], {
  encoding: "utf8",
  env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1" },
  // On Windows `turbo` is a .cmd file, which only a shell can start.
  shell: process.platform === "win32",
});
if (result.error) throw result.error;
if (result.status !== 0) {
  process.stdout.write(result.stdout);
  process.stderr.write(result.stderr);
  process.exit(result.status ?? 1);
}
