/** What was held against the invariants of the history checker, by their numbers. */
export interface InvariantReport {
  /** How often each was. */
  readonly checked: ReadonlyMap<number, number>;
  /** Why the others were not. */
  readonly notChecked: ReadonlyMap<number, string>;
  /** Those that have to have been. */
  readonly required: readonly number[];
}

/** What a part of the harness did, and what it found. */
export interface PartReport {
  readonly name: string;
  /** How often each thing was exercised. */
  readonly exercised: Readonly<Record<string, number>>;
  /** Of those above: what has to have happened, or else nothing was shown. */
  readonly required: readonly string[];
  /** What must not be, for people. */
  readonly problems: readonly string[];
  /** Left out where no history is checked. */
  readonly invariants?: InvariantReport;
}

const MOST_SHOWN = 20;

/** @returns What it did in vain, which is a failure as well. */
function vacuousIn({ exercised, required, invariants }: PartReport): readonly string[] {
  const never = invariants?.required.filter((number) => !invariants.checked.has(number)) ?? [];
  return [
    ...required.filter((what) => (exercised[what] ?? 0) === 0),
    ...never.map(
      (number) => `checks of invariant ${number} (${invariants!.notChecked.get(number) ?? "no reason given"})`,
    ),
  ];
}

export function hasFailed(report: PartReport): boolean {
  return report.problems.length > 0 || vacuousIn(report).length > 0;
}

export function textOf(report: PartReport): string {
  const { name, exercised, problems } = report;
  const counts = Object.entries(exercised).map(([what, times]) => `${times.toLocaleString("en")} ${what}`);
  const lines = [`${name}: ${counts.join(", ")}`, ...linesOf(report)];
  for (const what of vacuousIn(report)) lines.push(`  VACUOUS: there were no ${what}, so nothing was shown`);
  for (const problem of problems.slice(0, MOST_SHOWN)) lines.push(`  PROBLEM: ${problem}`);
  if (problems.length > MOST_SHOWN) lines.push(`  … and ${problems.length - MOST_SHOWN} problems more`);
  lines.push(hasFailed(report) ? `${name}: FAILED` : `${name}: ok`);
  return lines.join("\n");
}

function linesOf({ invariants }: PartReport): readonly string[] {
  if (invariants === undefined) return [];
  const inOrder = <Value>(map: ReadonlyMap<number, Value>) => [...map].sort(([one], [other]) => one - other);
  const checked = inOrder(invariants.checked).map(([number, times]) => `${number} ×${times.toLocaleString("en")}`);
  const byReason = new Map<string, number[]>();
  for (const [number, why] of inOrder(invariants.notChecked)) byReason.set(why, [...(byReason.get(why) ?? []), number]);
  return [
    `  invariants checked: ${checked.join(", ")}`,
    ...[...byReason].map(([why, numbers]) => `  not checked: ${numbers.join(", ")}: ${why}`),
  ];
}
