/** One measurement in a process of its own: `node measure.js <probe> <request as JSON>` prints its sample as JSON. */
import { Socket } from "node:net";
import { fiboProbe } from "./executors/fibo-probe.js";
import { processesProbe } from "./executors/processes-probe.js";
import { threadsProbe } from "./executors/threads-probe.js";
import { durableProbe } from "./probes/durable.js";
import { graphProbe } from "./probes/graph.js";
import { historyProbe } from "./probes/history.js";
import { idleProbe } from "./probes/idle.js";
import { idleQueriesProbe } from "./probes/idle-queries.js";
import { longChainProbe } from "./probes/long-chain.js";
import { oneTaskProbe } from "./probes/one-task.js";
import { recoveryProbe, victimProbe } from "./probes/recovery.js";
import { waitingProbe } from "./probes/waiting.js";

const PROBES = {
  graph: graphProbe,
  "one-task": oneTaskProbe,
  idle: idleProbe,
  waiting: waitingProbe,
  durable: durableProbe,
  "idle-queries": idleQueriesProbe,
  recovery: recoveryProbe,
  victim: victimProbe,
  history: historyProbe,
  "long-chain": longChainProbe,
  threads: threadsProbe,
  processes: processesProbe,
  fibo: fiboProbe,
};
export type Probes = typeof PROBES;

// Nobody outlives who asked for the measurement: an engine would look for a server that is gone for ever.
if (process.stdin instanceof Socket)
  process.stdin
    .once("end", () => process.exit(1))
    .resume()
    .unref();

const [name, request] = process.argv.slice(2);
const probe = PROBES[name as keyof Probes] as (request: unknown) => Promise<unknown>;
const sample = JSON.stringify((await probe(JSON.parse(request!))) ?? null);
// Whether the process ends by itself is what the idle engine is measured for; nobody else has to wait for that.
process.stdout.write(sample, () => name === "idle" || process.exit());
