import { type Content, type Markup, markup } from "./markup.js";

/** One line or one set of bars. `tone` is the CSS class that colours it. */
export interface Series {
  readonly name: string;
  readonly tone: string;
  readonly values: readonly number[];
}

/** A note at one position of the x axis. */
export interface Mark {
  readonly at: number;
  readonly text: string;
}

interface ChartOptions {
  /** What the chart shows, for those who cannot see it. */
  readonly title: string;
  readonly yLabel: string;
  readonly series: readonly Series[];
  /** What each position of the x axis stands for; shown when the pointer is on it. */
  readonly positions: readonly string[];
  /** Writes the values on the y axis. */
  readonly format: (value: number) => string;
  /** Writes the values in what the pointer shows. Default: `format`. */
  readonly describe?: (value: number) => string;
}

export interface LineChartOptions extends ChartOptions {
  /** Positions that get a tick and a text under the x axis. */
  readonly ticks: readonly Mark[];
  /** Positions that get a dashed line and a text at the top. */
  readonly notes?: readonly Mark[];
}

export interface BarChartOptions extends ChartOptions {
  /** Writes the value on top of each bar. Default: no such text. */
  readonly label?: (value: number) => string;
}

const WIDTH = 880;
const HEIGHT = 300;
const MARGIN = { top: 32, right: 12, bottom: 28, left: 54 };
const PLOT = {
  left: MARGIN.left,
  right: WIDTH - MARGIN.right,
  top: MARGIN.top,
  bottom: HEIGHT - MARGIN.bottom,
  width: WIDTH - MARGIN.left - MARGIN.right,
  height: HEIGHT - MARGIN.top - MARGIN.bottom,
};
const BAR_GROUP_GAP = 0.3;
const MAX_BAR = 32;
/** Room for the longest text of a note; one that stands closer to its neighbour goes a row higher. */
const NOTE_WIDTH = 110;

/** Lines over a shared x axis. The y axis need not begin at 0. */
export function lineChart(options: LineChartOptions): Markup {
  const { series, positions, ticks, notes = [] } = options;
  const y = scale(series, "close");
  const x = (position: number) => PLOT.left + ((position + 0.5) / positions.length) * PLOT.width;

  const lines = series.map(({ tone, values }) => {
    const points = values.map((value, index) => `${round(x(index))},${round(y.at(value))}`).join(" ");
    return markup`<polyline class="line ${tone}" points="${points}"/>`;
  });
  const xTicks = ticks.map(
    ({ at, text }) => markup`
    <line class="tick" x1="${round(x(at))}" x2="${round(x(at))}" y1="${PLOT.bottom}" y2="${PLOT.bottom + 5}"/>
    <text class="x" x="${round(x(at))}" y="${PLOT.bottom + 19}">${text}</text>`,
  );
  const dashes = notes.map(({ at, text }, index) => {
    const previous = notes[index - 1];
    const isCrowded = previous !== undefined && x(at) - x(previous.at) < NOTE_WIDTH;
    const row = PLOT.top - (isCrowded ? 18 : 5);
    const side = x(at) > PLOT.right - NOTE_WIDTH / 2 ? "note end" : "note";
    return markup`
    <line class="dash" x1="${round(x(at))}" x2="${round(x(at))}" y1="${row + 3}" y2="${PLOT.bottom}"/>
    <text class="${side}" x="${round(x(at))}" y="${row}">${text}</text>`;
  });
  return frame(options, y, [...dashes, ...lines, ...xTicks]);
}

/** Groups of bars, one per position, one bar per series. The y axis begins at 0. */
export function barChart(options: BarChartOptions): Markup {
  const { series, positions, label } = options;
  const y = scale(series, "zero");
  const slot = PLOT.width / positions.length;
  const bar = Math.min(MAX_BAR, (slot * (1 - BAR_GROUP_GAP)) / series.length);
  const left = (position: number) => PLOT.left + (position + 0.5) * slot - (bar * series.length) / 2;

  const bars = positions.map((_, position) =>
    series.map(({ tone, values }, index) => {
      const value = values[position]!;
      const x = round(left(position) + index * bar);
      const top = round(y.at(value));
      const text =
        label && markup`<text class="value" x="${round(x + bar / 2)}" y="${round(top - 5)}">${label(value)}</text>`;
      return markup`
    <rect class="bar ${tone}" x="${round(x + 0.5)}" y="${top}" width="${round(bar - 1)}" height="${round(PLOT.bottom - top)}" rx="1.5"/>${text}`;
    }),
  );
  const names = positions.map(
    (name, position) =>
      markup`<text class="x" x="${round(PLOT.left + (position + 0.5) * slot)}" y="${PLOT.bottom + 19}">${name}</text>`,
  );
  return frame(options, y, [...bars, ...names]);
}

/** About six round numbers that enclose `low` to `high`. */
export function niceTicks(low: number, high: number): number[] {
  const rough = (high - low || Math.abs(high) || 1) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.999) ?? 10);
  const first = Math.floor(low / step);
  const last = Math.ceil(high / step);
  return Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

interface Scale {
  readonly ticks: readonly number[];
  at(value: number): number;
}

function scale(series: readonly Series[], from: "zero" | "close"): Scale {
  const values = series.flatMap((one) => one.values);
  const ticks = niceTicks(from === "zero" ? 0 : Math.min(...values), Math.max(...values));
  const low = ticks[0]!;
  const high = ticks.at(-1)!;
  return { ticks, at: (value) => PLOT.bottom - ((value - low) / (high - low || 1)) * PLOT.height };
}

function frame(options: ChartOptions, y: Scale, content: Content): Markup {
  const { title, yLabel, series, positions, format, describe = format } = options;
  const grid = y.ticks.map(
    (tick) => markup`
    <line class="grid" x1="${PLOT.left}" x2="${PLOT.right}" y1="${round(y.at(tick))}" y2="${round(y.at(tick))}"/>
    <text class="y" x="${PLOT.left - 8}" y="${round(y.at(tick) + 4)}">${format(tick)}</text>`,
  );
  const slot = PLOT.width / positions.length;
  const hovers = positions.map((name, position) => {
    const lines = series.map((one) => `${one.name}: ${describe(one.values[position]!)}`);
    const x = round(PLOT.left + position * slot);
    return markup`
    <rect class="hover" x="${x}" y="${PLOT.top}" width="${round(slot)}" height="${PLOT.height}"><title>${[name, ...lines].join("\n")}</title></rect>`;
  });
  return markup`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">
    <text class="label" x="0" y="12">${yLabel}</text>${grid}${content}
    <line class="axis" x1="${PLOT.left}" x2="${PLOT.right}" y1="${PLOT.bottom}" y2="${PLOT.bottom}"/>${hovers}
  </svg>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
