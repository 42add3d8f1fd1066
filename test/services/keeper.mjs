// Runs a server for exactly as long as the process that asked for it lives, however that ends: this process's stdin is
// a pipe from there, which the operating system closes in any case. Then the server is stopped and its folder removed.
//
//   node keeper.mjs '{"command":"…","args":["…"],"cwd":"…","uid":1,"gid":1,"stopSignal":"SIGINT","folder":"…"}'
//
// A line of stdin is a signal for the server. When the server ends by itself, so does this process.
import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";

const PATIENCE_MS = 5_000;

const { command, args, stopSignal, folder, ...options } = JSON.parse(process.argv[2]);
let isForsaken = false;

const server = spawn(command, args, { ...options, stdio: ["ignore", "inherit", "inherit"] });
server.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
server.on("exit", (code) => {
  if (isForsaken) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  process.exit(code ?? 1);
});

function forsake() {
  if (isForsaken) return;
  isForsaken = true;
  server.kill(stopSignal);
  setTimeout(() => server.kill("SIGKILL"), PATIENCE_MS);
}

createInterface({ input: process.stdin })
  .on("line", (signal) => server.kill(signal))
  .on("close", forsake);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, forsake);
