// A service with an engine on a file, which the test kills.
import { childProcesses } from "@weftline/executor-child-process";
import { workerThreads } from "@weftline/executor-worker-threads";
import { sqliteStorage } from "@weftline/storage-sqlite";
import { createEngine, inProcess } from "weftline";
import { killed } from "./kill.pipelines.mjs";

const [kind, file, witness, door] = process.argv.slice(2);
const module = new URL("./kill.pipelines.mjs", import.meta.url);
const executors = {
  "in-process": () => inProcess(),
  threads: () => workerThreads({ module, maxThreads: 2 }),
  processes: () => childProcesses({ module, maxProcesses: 2 }),
};
const engine = createEngine({
  pipelines: [killed],
  storage: sqliteStorage({ file, durability: "normal" }),
  executors: { default: executors[kind]() },
  ...{ lease: "1s", poll: "50ms", retention: "1d" },
});
await engine.start();
const run = await engine.trigger(killed, { witness, door });
process.stdout.write(`${run.id}\n`);
