import type { Verdict } from "@weftline/testing";
import { type RunInfo, taskName } from "weftline";
import { jsonLine } from "../json.js";
import { type Colors, count, moment, padEnd, plainLine, widest } from "../text.js";
import { INVARIANT_NAMES } from "./invariant-names.js";

/** What came of holding a run against what is promised. */
export interface Verified {
  readonly run: RunInfo;
  readonly verdict: Verdict;
  /** The file has the very definition that the run ran with, which says more than what is stored of it. */
  readonly knowsPipeline: boolean;
}

type Violation = Verdict["violations"][number];
type Exhibit = Violation["events"][number];

const MAX_RECORDS = 5;

/** For people: the verdict, what does not hold and by which records, what holds, and what could not be checked. */
export function verifyReport({ run, verdict, knowsPipeline }: Verified, colors: Colors): string {
  const { violations, checked, notChecked } = verdict;
  const broken = new Set(violations.map(({ invariant }) => invariant));
  const holds = checked.filter(({ invariant }) => !broken.has(invariant));
  const names = holds.map(({ invariant }) => `${String(invariant).padStart(2)}  ${INVARIANT_NAMES[invariant]!}`);
  const width = widest(names);
  const lines = [
    `${headline(verdict, colors)}: ${run.id} of ${plainLine(run.pipeline)}, ${run.status}`,
    ...violations.flatMap((violation) => violationLines(violation, colors)),
    ...(holds.length > 0 ? ["", "Holds:"] : []),
    ...holds.map(
      ({ times }, place) => `  ${colors.green("✓")} ${padEnd(names[place]!, width)}  ${colors.dim(timesText(times))}`,
    ),
    ...(notChecked.length > 0 ? ["", "Not checked:"] : []),
    ...byReason(notChecked).map(([why, numbers]) => `  ${colors.dim("·")} ${plainLine(why)}: ${numbers.join(", ")}`),
  ];
  if (!knowsPipeline) {
    lines.push("", "The file has another version of this pipeline, or none: retries and limits are not known.");
  }
  return `${lines.join("\n")}\n`;
}

/** The same for programs, in one line. */
export function verifyJson({ run, verdict, knowsPipeline }: Verified): string {
  const { outcome, violations, checked, notChecked } = verdict;
  const { id, pipeline, definition, status } = run;
  const named = <Item extends { readonly invariant: number }>(item: Item) => ({
    ...item,
    name: INVARIANT_NAMES[item.invariant],
  });
  return jsonLine({
    ...{ run: id, pipeline, definition, status, outcome, knowsPipeline },
    violations: violations.map(({ events, ...violation }) => ({
      ...named(violation),
      records: events.map(recordText),
    })),
    checked: checked.map(named),
    notChecked: notChecked.map(named),
  });
}

function headline({ violations }: Verdict, colors: Colors): string {
  const proved = violations.filter(({ severity }) => severity === "violation").length;
  if (proved > 0) return colors.red(`✗ ${count(proved, "violation")}`);
  if (violations.length > 0) return colors.yellow(`! ${count(violations.length, "suspicion")}`);
  return colors.green("✓ nothing speaks against it");
}

function violationLines({ invariant, severity, why, events }: Violation, colors: Colors): readonly string[] {
  const [mark, style] = severity === "violation" ? (["✗", "red"] as const) : (["!", "yellow"] as const);
  const shown = events.slice(0, MAX_RECORDS).map((event) => `         ${colors.dim(recordText(event))}`);
  const hidden = events.length - shown.length;
  return [
    `  ${colors[style](mark)} ${String(invariant).padStart(2)}  ${INVARIANT_NAMES[invariant]!}:`,
    `         ${plainLine(why)}`,
    ...shown,
    ...(hidden > 0 ? [`         ${colors.dim(`… and ${hidden} more`)}`] : []),
  ];
}

/** What speaks for a violation, as a line. What a run's records tell of are creations and flushes alone. */
function recordText(event: Exhibit): string {
  if (!("type" in event)) return plainLine(JSON.stringify(event));
  const at = moment(event.at);
  if (event.type === "created") return `${at}: the run was created`;
  if (event.type !== "flushed") return `${at}: ${event.type}`;
  const parts = event.runs.flatMap(({ tasks, attempts, run }) => [
    ...attempts.map((one) => `attempt ${one.attempt} of ${taskName(one.task, one.index)} ${one.status}`),
    ...tasks.map(({ task, index, status }) => `${taskName(task, index)} ${status}`),
    ...(run ? [`the run ${run.status}`] : []),
  ]);
  const hidden = parts.length - MAX_RECORDS;
  const more = hidden > 0 ? ` and ${hidden} more` : "";
  return plainLine(`${at}: ${parts.slice(0, MAX_RECORDS).join(", ")}${more}`);
}

function byReason(notChecked: Verdict["notChecked"]): readonly (readonly [string, readonly number[]])[] {
  const reasons = new Map<string, number[]>();
  for (const { invariant, why } of notChecked) {
    const numbers = reasons.get(why);
    if (numbers === undefined) reasons.set(why, [invariant]);
    else numbers.push(invariant);
  }
  return [...reasons];
}

function timesText(times: number): string {
  return times === 1 ? "once" : `${times.toLocaleString("en")} times`;
}
