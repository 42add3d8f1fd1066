import { parseArgs } from "node:util";
import { seededRandom } from "weftline";
import { FAULTS, LONG_OUTAGE } from "./faults.js";
import { World } from "./world.js";

const USAGE = "npm run db-faults -- [--minutes 1] [--seed 1]";
const { values } = parseArgs({
  options: { minutes: { type: "string", default: "1" }, seed: { type: "string", default: "1" } },
});
const [minutes, seed] = [values.minutes, values.seed].map(Number) as [number, number];
if (!(minutes > 0) || !Number.isSafeInteger(seed)) throw new RangeError(`Cannot use these arguments. ${USAGE}`);

const random = seededRandom(seed);
const happened = new Map<string, number>(FAULTS.map(({ name }) => [name, 0]));
const violations: string[] = [];
let runs = 0;
let repeated = 0;
const world = await World.start();
console.log(`Postgres ${world.server.version} from ${world.server.origin}; seed ${seed}`);
try {
  for (const end = performance.now() + minutes * 60_000; performance.now() < end; ) {
    const faults = [pick(), pick()];
    const outages = random() < 0.25 ? LONG_OUTAGE : 1;
    const verdict = await world.underLoad(async () => {
      for (const { name, happen } of faults) happened.set(name, happened.get(name)! + (await happen(world, outages)));
    });
    runs += verdict.runs;
    repeated += verdict.repeated;
    violations.push(...verdict.violations);
    const what = faults.map(({ name }) => name).join(", then ");
    console.log(`${verdict.runs} runs, ${verdict.violations.length} violations: ${what}`);
  }
} finally {
  report();
  await world.stop();
}

function pick() {
  return FAULTS[Math.floor(random() * FAULTS.length)]!;
}

function report(): void {
  const counts = world.hosts.map(({ counts }) => counts);
  const sum = (what: "confirmed" | "sentAgain" | "unknown") => counts.reduce((total, count) => total + count[what], 0);
  for (const [name, times] of happened) console.log(`${String(times).padStart(6)} times ${name}`);
  console.log(`${runs} runs; ${repeated} tasks or items did unconfirmed work again`);
  console.log(
    `${sum("confirmed")} flushes, ${sum("unknown")} of unknown fate, ${sum("sentAgain")} sent again under their id`,
  );
  for (const violation of violations) console.log(`VIOLATION ${violation}`);
  if (world.complaints !== "") console.log(`The engines complained:\n${world.complaints}`);
  const isVacuous = [...happened.values()].every((times) => times === 0) || runs === 0;
  if (isVacuous) console.log("nothing was exercised");
  console.log(violations.length > 0 || isVacuous ? "FAILED" : "HELD");
  process.exitCode = violations.length > 0 || isVacuous ? 1 : 0;
}
