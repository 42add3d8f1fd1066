/** What a part of the harness did, and what it found. */
export interface PartReport {
  readonly name: string;
  /** How often each thing was exercised. */
  readonly exercised: Readonly<Record<string, number>>;
  /** Of those above: what has to have happened, or else nothing was shown. */
  readonly required: readonly string[];
  /** What must not be, for people. */
  readonly problems: readonly string[];
}

const MOST_SHOWN = 20;

/** @returns What it did in vain, which is a failure as well. */
function vacuousIn({ exercised, required }: PartReport): readonly string[] {
  return required.filter((what) => (exercised[what] ?? 0) === 0);
}

export function hasFailed(report: PartReport): boolean {
  return report.problems.length > 0 || vacuousIn(report).length > 0;
}

export function textOf(report: PartReport): string {
  const { name, exercised, problems } = report;
  const counts = Object.entries(exercised).map(([what, times]) => `${times.toLocaleString("en")} ${what}`);
  const lines = [`${name}: ${counts.join(", ")}`];
  for (const what of vacuousIn(report)) lines.push(`  VACUOUS: there were no ${what}, so nothing was shown`);
  for (const problem of problems.slice(0, MOST_SHOWN)) lines.push(`  PROBLEM: ${problem}`);
  if (problems.length > MOST_SHOWN) lines.push(`  … and ${problems.length - MOST_SHOWN} problems more`);
  lines.push(hasFailed(report) ? `${name}: FAILED` : `${name}: ok`);
  return lines.join("\n");
}
