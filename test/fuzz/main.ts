import { parseArgs } from "node:util";
import { ENTRIES } from "./entries.js";
import { type Finding, fuzz } from "./fuzz.js";
import { isKnown } from "./known.js";

const USAGE = "npm run fuzz -- [--runs 1000] [--seed 1] [--only Builder]";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "1000" },
    seed: { type: "string" },
    only: { type: "string", default: "" },
  },
});
const runs = Number(values.runs);
const seed = Number(values.seed ?? Math.trunc(Math.random() * 2 ** 31));
if (!(Number.isSafeInteger(runs) && runs > 0 && Number.isSafeInteger(seed)))
  throw new RangeError(`Cannot use these numbers. ${USAGE}`);
const chosen = ENTRIES.filter(({ name }) => name.includes(values.only));

let calls = 0;
let refusals = 0;
const findings: Finding[] = [];
for (const entry of chosen) {
  const report = await fuzz(entry, { runs, seed });
  calls += report.calls;
  refusals += report.refusals;
  findings.push(...report.findings);
  console.log(`${entry.name}: ${report.calls} calls, ${report.refusals} refused, ${report.findings.length} findings`);
}
for (const finding of findings)
  console.log(`${isKnown(finding) ? "known" : "NEW  "} ${finding.call}\n      ${finding.fault}`);
const fresh = findings.filter((finding) => !isKnown(finding));
console.log(
  `${calls} calls of ${chosen.length} entry points, seed ${seed}: ${refusals} refused, ${fresh.length} new findings`,
);
if (calls === 0) console.log("nothing was called");
// Code of callers that never settles is still there.
process.exit(fresh.length === 0 && calls > 0 ? 0 : 1);
