import { pathToFileURL } from "node:url";
import { bundle } from "./bundle.mjs";
import { findMutation, MUTATIONS } from "./mutations.mjs";
import { readOptions } from "./options.mjs";
import { printProblems, printTotal, progress } from "./report.mjs";
import { openSqlite, SQLITE_CLOCK } from "./sqlite.mjs";

/** So many worlds are enough for everything to happen at least once; with fewer, what never happened is no failure. */
const ENOUGH_SEEDS = 1_000;

const options = readOptions(process.argv.slice(2));
process.exitCode = options.mutations ? await runMutations() : await runSeeds();

async function runSeeds() {
  const isSqlite = options.storage === "sqlite";
  const simulator = await load("simulator", isSqlite ? SQLITE_CLOCK : {});
  const edition = options.edition === undefined ? {} : { edition: options.edition };
  const settings = { ...edition, ...(isSqlite && { storage: openSqlite(simulator) }) };
  if (options.seed !== undefined) return playAlone(simulator, settings);
  const startedAt = performance.now();
  const isOver = (played) => {
    if (options.minutes === undefined) return played >= options.seeds;
    return performance.now() - startedAt > options.minutes * 60_000;
  };
  let sum;
  let failed = 0;
  let played = 0;
  for (; !isOver(played); played++) {
    const result = await simulator.simulate(options.from + played, settings);
    sum = simulator.addExercised(sum, result.exercised);
    progress(played + 1, failed, startedAt, options);
    if (result.problems.length === 0) continue;
    failed++;
    if (failed <= 3) await reportFailure(simulator, result, settings);
    else console.log(`Seed ${options.from + played} failed too: ${describe(result.problems[0])}`);
  }
  // Worlds of an older edition do not have all that happens by now.
  const isWhole = played >= ENOUGH_SEEDS && options.edition === undefined;
  const never = isWhole ? simulator.neverExercised(sum) : [];
  printTotal({ played, failed, sum, never, ms: performance.now() - startedAt });
  return failed > 0 || never.length > 0 ? 1 : 0;
}

function describe({ rule, why }) {
  return `${rule}: ${why}`;
}

async function playAlone(simulator, settings) {
  const result = await simulator.simulate(options.seed, settings);
  printTotal({ played: 1, failed: result.problems.length > 0 ? 1 : 0, sum: result.exercised, never: [], ms: 0 });
  if (result.problems.length === 0) return 0;
  await reportFailure(simulator, result, settings);
  return 1;
}

async function reportFailure(simulator, { world, problems }, settings) {
  const rules = new Set(problems.map(({ rule }) => rule));
  const stillFails = async (smaller) => {
    const again = await simulator.simulateWorld(smaller, settings);
    return again.problems.some(({ rule }) => rules.has(rule));
  };
  printProblems(world.seed, problems, await simulator.shrink(world, stillFails));
}

async function runMutations() {
  const wanted = MUTATIONS.filter(({ name }) => options.names.length === 0 || options.names.includes(name));
  const clean = await load("simulator");
  let missed = 0;
  for (const mutation of wanted) {
    const simulator = await load(`mutation-${mutation.name}`, mutation.source);
    const startedAt = performance.now();
    const found = await findMutation(simulator, clean, mutation, options.seeds);
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
    if (found === undefined) missed++;
    const how = found ? `found by seed ${found.seed} (${found.problem.rule}: ${found.problem.why})` : "NOT FOUND";
    process.stdout.write(`${mutation.name.padEnd(22)} ${how}, ${seconds} s\n`);
  }
  return missed > 0 || wanted.length === 0 ? 1 : 0;
}

async function load(name, source) {
  return import(pathToFileURL(await bundle(name, source)).href);
}
