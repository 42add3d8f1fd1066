/** What a group is measured with. */
export interface Effort {
  /** Small sizes and few repetitions: shows that the program works, not what anything costs. */
  readonly isQuick: boolean;
  /** How many processes stand behind each figure. */
  readonly runs: number;
}

export interface Group {
  /** As `--only` names it. */
  readonly name: string;
  readonly title: string;
  measure(effort: Effort): Promise<Report>;
}

/** What a group found. */
export interface Report {
  readonly tables: readonly Table[];
  readonly targets: readonly Target[];
  /** Every sample, for who wants to compute something else. */
  readonly samples: unknown;
}

export interface Table {
  readonly title: string;
  /** Columns that hold text come first. */
  readonly columns: readonly string[];
  readonly textColumns: number;
  readonly rows: readonly (readonly string[])[];
  /** What has to be known to read it. */
  readonly note?: string;
}

/** A claim and whether it held. */
export interface Target {
  readonly what: string;
  readonly target: string;
  readonly measured: string;
  readonly verdict: "met" | "not met" | "not judged";
}

export interface Claim {
  readonly what: string;
  readonly bound: "at least" | "at most" | "under" | "exactly";
  readonly limit: number;
  readonly show: (figure: number) => string;
}

/** @param measured - A figure, or words that say why there is none. */
export function judge({ what, bound, limit, show }: Claim, measured: number | string, effort: Effort): Target {
  const target = `${bound} ${show(limit)}`;
  if (typeof measured === "string") return { what, target, measured, verdict: "not judged" };
  const verdict = effort.isQuick ? "not judged" : holds(measured, bound, limit) ? "met" : "not met";
  return { what, target, measured: show(measured), verdict };
}

function holds(measured: number, bound: Claim["bound"], limit: number): boolean {
  if (bound === "at least") return measured >= limit;
  if (bound === "at most") return measured <= limit;
  return bound === "under" ? measured < limit : measured === limit;
}

export function targetTable(targets: readonly Target[]): Table {
  return {
    title: "Targets",
    columns: ["", "target", "measured", "verdict"],
    textColumns: 4,
    rows: targets.map(({ what, target, measured, verdict }) => [what, target, measured, verdict]),
  };
}

export const NOT_MEASURED = "–";

export const inMicroseconds = (figure: number) => `${short(figure)} µs`;
export const inSeconds = (figure: number) => `${short(figure)} s`;
export const inMilliseconds = (figure: number) => `${short(figure)} ms`;
export const inKilobytes = (bytes: number) => `${short(bytes / 1_000)} kB`;
export const inMegabytes = (bytes: number) => `${short(bytes / 1_000_000)} MB`;
export const inPercent = (share: number) => `${short(share * 100)} %`;
export const times = (figure: number) => `${short(figure)}×`;

/** What to say when a group cannot measure anything. */
export function nothingMeasured(group: string, why: string): Report {
  return { tables: [], targets: [{ what: group, target: "", measured: why, verdict: "not judged" }], samples: [] };
}

/** For columns: the digits after the point are those that say something. */
export function decimals(figure: number): string {
  const digits = fractionDigits(figure);
  return figure.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** For text: without zeros at the end. */
function short(figure: number): string {
  return figure.toLocaleString("en", { maximumFractionDigits: fractionDigits(figure) });
}

function fractionDigits(figure: number): number {
  const size = Math.abs(figure);
  if (size >= 100) return 0;
  return size >= 0.1 ? 2 : 3;
}
