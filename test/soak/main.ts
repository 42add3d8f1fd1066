import { parseArgs } from "node:util";
import type { Growth, Sample } from "./growth.js";
import { soak } from "./soak.js";
import { STORES, type StoreName } from "./stores.js";

const USAGE = `npm run soak -- --storage ${STORES.join("|")} [--runs 1000000] [--minutes 30] [--round 6500] [--leak-bytes 0]`;
const LINE_EVERY_SECONDS = 5;

const { values } = parseArgs({
  options: {
    storage: { type: "string", default: "memory" },
    runs: { type: "string", default: "1000000" },
    minutes: { type: "string", default: "30" },
    round: { type: "string" },
    "leak-bytes": { type: "string", default: "0" },
  },
});

/** @throws {RangeError} For anything but a number above `min`. */
function numberOf(name: string, text: string, min = 0): number {
  const value = Number(text);
  if (Number.isFinite(value) && value >= min && text !== "") return value;
  throw new RangeError(`Cannot use --${name} "${text}". ${USAGE}`);
}

const isStore = (name: string): name is StoreName => (STORES as readonly string[]).includes(name);
if (!isStore(values.storage)) throw new RangeError(`Cannot use --storage "${values.storage}". ${USAGE}`);

const show = (sample: Sample) =>
  Object.entries(sample)
    .map(([what, value]) => `${what} ${rounded(value)}`)
    .join("  ");
const rounded = (value: number) => (Number.isInteger(value) ? `${value}` : value.toFixed(2));
const verdictOf = ({ what, from, to, growth, isFlat }: Growth) =>
  `${isFlat ? "flat " : "GREW "} ${what.padEnd(12)} ${rounded(from)} → ${rounded(to)} (${(growth * 100).toFixed(1)} %)`;

let nextLine = 0;
const report = await soak({
  storage: values.storage,
  runs: numberOf("runs", values.runs, 1),
  minutes: numberOf("minutes", values.minutes),
  ...(values.round !== undefined && { round: numberOf("round", values.round, 1) }),
  leakBytes: numberOf("leak-bytes", values["leak-bytes"]),
  onSample(sample, { runs, seconds }) {
    if (seconds < nextLine) return;
    nextLine = seconds + LINE_EVERY_SECONDS;
    console.log(`${seconds.toFixed(0).padStart(5)} s  ${runs} runs  ${show(sample)}`);
  },
});

console.log(`${report.runs} runs on ${values.storage} in ${report.seconds.toFixed(0)} s, ${report.samples} samples`);
for (const growth of report.growth) console.log(verdictOf(growth));
for (const warning of new Set(report.warnings)) console.log(`SAID  ${warning}`);
if (report.growth.length === 0) console.log("too few samples to say anything: give it more runs or a smaller --round");
console.log(report.isFlat ? "FLAT" : "NOT FLAT");
process.exitCode = report.isFlat ? 0 : 1;
