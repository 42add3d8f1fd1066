const MAX_PROBLEMS = 8;
const MAX_EVENT_LENGTH = 400;
const EVERY_SEEDS = 250;

/** One line now and then, that says how far it is. */
export function progress(played, failed, startedAt, { seeds, minutes }) {
  if (played % EVERY_SEEDS !== 0) return;
  const seconds = (performance.now() - startedAt) / 1_000;
  const goal = minutes === undefined ? ` of ${seeds}` : "";
  process.stdout.write(`${played}${goal} seeds, ${failed} failed, ${Math.round((played / seconds) * 60)} a minute\n`);
}

/** What is wrong with a world, and the smallest one that still shows it. */
export function printProblems(seed, problems, smallest) {
  const lines = [`\nSeed ${seed} failed: ${problems.length} problems. Play it again: npm run sim -- --seed ${seed}`];
  for (const { rule, runId, why, events } of problems.slice(0, MAX_PROBLEMS)) {
    lines.push(`  ${rule}${runId === undefined ? "" : ` in run ${runId}`}: ${why}`);
    for (const event of events) lines.push(`    ${JSON.stringify(event).slice(0, MAX_EVENT_LENGTH)}`);
  }
  lines.push("  The smallest world that shows it:", `    ${JSON.stringify(smallest)}`, "");
  process.stdout.write(`${lines.join("\n")}\n`);
}

/** What was exercised, and what was not. */
export function printTotal({ played, failed, sum, never, ms }) {
  if (sum === undefined) return;
  const entries = Object.entries(sum).map(([name, count]) => `${words(name)} ${Number(count.toFixed(1))}`);
  const pace = ms > 0 ? `, ${Math.round((played / ms) * 60_000)} a minute` : "";
  process.stdout.write(`${played} seeds, ${failed} failed${pace}\nExercised: ${entries.join(", ")}\n`);
  if (never.length > 0) process.stdout.write(`FAILED, as this never happened: ${never.map(words).join(", ")}\n`);
}

function words(name) {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
