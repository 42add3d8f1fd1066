/** One measurement in a process of its own: `node measure.js <probe> <request as JSON>` prints its sample as JSON. */
import { graphProbe } from "./probes/graph.js";
import { idleProbe } from "./probes/idle.js";
import { oneTaskProbe } from "./probes/one-task.js";
import { waitingProbe } from "./probes/waiting.js";

const PROBES = { graph: graphProbe, "one-task": oneTaskProbe, idle: idleProbe, waiting: waitingProbe };
export type Probes = typeof PROBES;

const [name, request] = process.argv.slice(2);
const probe = PROBES[name as keyof Probes] as (request: unknown) => Promise<unknown>;
const sample = JSON.stringify((await probe(JSON.parse(request!))) ?? null);
// Whether the process ends by itself is what the idle engine is measured for; nobody else has to wait for that.
process.stdout.write(sample, () => name === "idle" || process.exit());
