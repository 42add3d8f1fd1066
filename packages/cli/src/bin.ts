#!/usr/bin/env node
import { main } from "./main.js";
import { processIo } from "./process-io.js";
import { SHOW_CURSOR } from "./progress/live-view.js";

// A reader that left (`weftline run … | head`) is no reason to stop in the middle of a run.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}

// Code of the user's may end the process at any time, and would leave the terminal without its cursor.
if (process.stdout.isTTY) process.on("exit", () => process.stdout.write(SHOW_CURSOR));

const exitCode = await main(process.argv.slice(2), processIo());
// The file that was loaded may have left sockets or timers open; the run is over all the same.
await new Promise((flushed) => process.stdout.write("", flushed));
process.exit(exitCode);
