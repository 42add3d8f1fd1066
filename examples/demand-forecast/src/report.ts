import { addDays, type Day, holidayOn, WEEKDAYS, weekdayOf } from "./calendar.js";
import { type Evaluation, type FoldScore, MIN_IMPROVEMENT, type Score } from "./evaluate.js";
import { FEATURE_NAMES, HORIZON_DAYS } from "./features.js";
import { type Markup, markup } from "./markup.js";
import type { DayForecast } from "./model.js";
import { REPORT_STYLE } from "./report-style.js";
import { barChart, lineChart, type Mark, type Series } from "./svg.js";

export interface ReportInput {
  /** The night of the forecast: the newest day with data. */
  readonly day: Day;
  readonly evaluation: Evaluation;
  readonly foldScores: readonly FoldScore[];
  /** By the model in force; empty when there is none. */
  readonly nextWeek: readonly DayForecast[];
}

const CLOSE_UP_DAYS = 84;
const WORST_DAYS = 5;

const births = (value: number) => Math.round(value).toLocaleString("en-US");
const percent = (value: number) => `${value.toFixed(2)} %`;
const axisPercent = (value: number) => `${value} %`;
const oneDigit = (value: number) => value.toFixed(1);

/** One self-contained page: no scripts, no files or fonts from elsewhere. */
export function renderReport(input: ReportInput): string {
  const { day, evaluation, foldScores, nextWeek } = input;
  const page = markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Demand forecast, ${day}</title>
<style>${REPORT_STYLE}</style>
</head>
<body>
<main>
${header(day, evaluation)}
${tiles(evaluation)}
<div class="columns">
${nextWeekTable(nextWeek, evaluation)}
${metricsTable(evaluation)}
</div>
${holdoutChart(evaluation)}
${closeUpChart(evaluation)}
${backTestChart(foldScores)}
${groupChart(evaluation)}
${worstDaysTable(evaluation)}
${method(evaluation)}
</main>
</body>
</html>
`;
  return page.text;
}

function header(day: Day, { decision }: Evaluation): Markup {
  return markup`<header>
<p class="eyebrow">Nightly demand forecast</p>
<h1>US births per day, as known on ${longDay(day)}</h1>
<p class="decision ${decision.choice}"><strong>${decision.choice === "deploy" ? "Deploy" : "Keep"}</strong> ${decision.reason}.</p>
</header>`;
}

function tiles({ candidate, deployed, lastYear, lastWeek }: Evaluation): Markup {
  const tile = (name: string, score: Score | undefined, tone: string) => markup`
<div class="tile ${tone}"><dt>${name}</dt><dd>${score ? percent(score.mape) : "–"}</dd></div>`;
  return markup`<dl class="tiles" aria-label="Mean absolute percentage error over the hold-out">
${tile("Candidate", candidate, "model")}
${tile("Deployed model", deployed, "deployed")}
${tile("Same weekday last year", lastYear, "last-year")}
${tile("Same weekday last week", lastWeek, "last-week")}
</dl>
<p class="note">Mean absolute percentage error (MAPE) over the hold-out; lower is better.</p>`;
}

function holdoutChart({ days, actual, forecast }: Evaluation): Markup {
  const weeks = Array.from({ length: Math.floor(days.length / 7) }, (_, week) => week * 7);
  const weekly = (values: readonly number[]) =>
    weeks.map((start) => values.slice(start, start + 7).reduce((sum, value) => sum + value, 0) / 7);
  const series: Series[] = [
    { name: "Actual", tone: "actual", values: weekly(actual) },
    { name: "Forecast", tone: "model", values: weekly(forecast) },
  ];
  return figure({
    heading: "Demand and forecast over the hold-out",
    text: `Mean of each week, ${days[0]} to ${days.at(-1)}. The model was trained on the days before.`,
    series,
    chart: lineChart({
      title: "Weekly mean of actual and forecast births per day over the hold-out",
      yLabel: "Births per day",
      series,
      positions: weeks.map((start) => `Week from ${days[start]}`),
      format: births,
      ticks: quarterTicks(weeks.map((start) => days[start]!)),
    }),
  });
}

function closeUpChart({ days, actual, forecast }: Evaluation): Markup {
  const shown = days.slice(-CLOSE_UP_DAYS);
  const series: Series[] = [
    { name: "Actual", tone: "actual", values: actual.slice(-CLOSE_UP_DAYS) },
    { name: "Forecast", tone: "model", values: forecast.slice(-CLOSE_UP_DAYS) },
  ];
  return figure({
    heading: "The last twelve weeks, day by day",
    text: "Few births are planned for weekends and holidays; the dashed lines are holidays.",
    series,
    chart: lineChart({
      title: "Actual and forecast births per day over the last twelve weeks",
      yLabel: "Births per day",
      series,
      positions: shown.map(
        (day) => `${WEEKDAYS[weekdayOf(day)]}, ${day}${holidayOn(day) ? `, ${holidayOn(day)}` : ""}`,
      ),
      format: births,
      ticks: shown.flatMap((day, at) => (weekdayOf(day) === 0 && at % 14 < 7 ? [{ at, text: shortDay(day) }] : [])),
      notes: shown.flatMap((day, at) => (holidayOn(day) ? [{ at, text: holidayOn(day)! }] : [])),
    }),
  });
}

function backTestChart(folds: readonly FoldScore[]): Markup {
  const series: Series[] = [
    { name: "Model", tone: "model", values: folds.map(({ model }) => model) },
    { name: "Same weekday last year", tone: "last-year", values: folds.map(({ lastYear }) => lastYear) },
    { name: "Same weekday last week", tone: "last-week", values: folds.map(({ lastWeek }) => lastWeek) },
  ];
  const wins = folds.filter(({ model, lastWeek, lastYear }) => model < Math.min(lastWeek, lastYear)).length;
  return figure({
    heading: "Back-test, year by year",
    text: `Each year forecast by a model trained on all days before it. The model is the best of the three in ${wins} of ${folds.length} years.`,
    series,
    chart: barChart({
      title: "MAPE of the model and two naive forecasts per back-tested year",
      yLabel: "MAPE",
      series,
      positions: folds.map(({ year }) => String(year)),
      format: axisPercent,
      describe: percent,
    }),
  });
}

function groupChart({ groups }: Evaluation): Markup {
  const series: Series[] = [
    { name: "Model", tone: "model", values: groups.map(({ model }) => model) },
    { name: "Same weekday last year", tone: "last-year", values: groups.map(({ lastYear }) => lastYear) },
  ];
  return figure({
    heading: "Error by weekday",
    text: "Over the hold-out. Holidays and the days next to them are a group of their own, and not in their weekday.",
    series,
    chart: barChart({
      title: "MAPE of the model and of last year's same weekday, per weekday and near holidays",
      yLabel: "MAPE",
      series,
      positions: groups.map(({ group }) => group),
      format: axisPercent,
      describe: percent,
      label: oneDigit,
    }),
  });
}

function metricsTable({ candidate, deployed, lastYear, lastWeek, days }: Evaluation): Markup {
  const row = (name: string, score: Score | undefined) =>
    score &&
    markup`
<tr><th scope="row">${name}</th><td>${percent(score.mape)}</td><td>${births(score.mae)}</td><td>${signed(score.bias)}</td><td>${percent(score.p95)}</td></tr>`;
  return markup`<section>
<h2>Metrics over the hold-out</h2>
<div class="scroll"><table>
<thead><tr><th scope="col">Forecast</th><th scope="col">MAPE</th><th scope="col" title="Mean absolute error, births per day">MAE</th><th scope="col" title="Mean of forecast minus actual, births per day">Bias</th><th scope="col" title="95 % of the days are off by no more">P95</th></tr></thead>
<tbody>${row("Candidate", candidate)}${row("Deployed model", deployed)}${row("Same weekday last year", lastYear)}${row("Same weekday last week", lastWeek)}
</tbody></table></div>
<p class="note">${days.length} days. MAE (mean absolute error) and bias (forecast minus actual) in births per day; 95 % of the days
are off by no more than P95.</p>
</section>`;
}

function nextWeekTable(nextWeek: readonly DayForecast[], evaluation: Evaluation): Markup | undefined {
  if (nextWeek.length === 0) return undefined;
  const inForce = evaluation.decision.choice === "deploy" ? evaluation.candidate : evaluation.deployed;
  const range = (value: number) =>
    inForce && `${births(value * (1 - inForce.p95 / 100))} – ${births(value * (1 + inForce.p95 / 100))}`;
  const row = (forecast: DayForecast) => markup`
<tr><th scope="row">${WEEKDAYS[weekdayOf(forecast.day)]}, ${forecast.day}</th><td>${births(forecast.births)}</td><td>${range(forecast.births) ?? "–"}</td></tr>`;
  return markup`<section>
<h2>The next seven days</h2>
<div class="scroll"><table>
<thead><tr><th scope="col">Day</th><th scope="col">Births</th><th scope="col">Usual range</th></tr></thead>
<tbody>${nextWeek.map(row)}
</tbody></table></div>
<p class="note">By the model now in force. ${inForce && `The range is ± ${percent(inForce.p95)}, which held on 95 % of the hold-out.`}</p>
</section>`;
}

function worstDaysTable({ days, actual, forecast }: Evaluation): Markup {
  const error = (index: number) => (100 * (forecast[index]! - actual[index]!)) / actual[index]!;
  const worst = days
    .map((_, index) => index)
    .sort((a, b) => Math.abs(error(b)) - Math.abs(error(a)))
    .slice(0, WORST_DAYS);
  const row = (index: number) => {
    const day = days[index]!;
    return markup`
<tr><th scope="row">${WEEKDAYS[weekdayOf(day)]}, ${day}</th><td class="text">${holidayNear(day)}</td><td>${births(actual[index]!)}</td><td>${births(forecast[index]!)}</td><td>${signed(error(index), 1)} %</td></tr>`;
  };
  return markup`<section>
<h2>The ${WORST_DAYS} worst days</h2>
<div class="scroll"><table>
<thead><tr><th scope="col">Day</th><th scope="col" class="text">Holiday</th><th scope="col">Actual</th><th scope="col">Forecast</th><th scope="col">Error</th></tr></thead>
<tbody>${worst.map(row)}
</tbody></table></div>
</section>`;
}

function method({ days }: Evaluation): Markup {
  return markup`<section class="method">
<h2>How it was made</h2>
<p>Linear regression by least squares on ${FEATURE_NAMES.length} features: weekday, month, six holidays and the days
next to them, demand 7, 14 and 364 days before, and the mean of the four weeks that ended ${HORIZON_DAYS} days before.
All of them are known ${HORIZON_DAYS} days ahead, which is when rosters are fixed.</p>
<p>The candidate is trained on every day before ${days[0]} and judged on the ${days.length} days from there on. It is
deployed when it beats both naive forecasts, there and over the years of the back-test, and its MAPE is at least
${MIN_IMPROVEMENT * 100} % lower than that of the deployed model on the same days.</p>
<p>Data: births per day 2000 to 2014, United States Social Security Administration, public domain.</p>
</section>`;
}

interface FigureOptions {
  readonly heading: string;
  readonly text: string;
  readonly series: readonly Series[];
  readonly chart: Markup;
}

function figure({ heading, text, series, chart }: FigureOptions): Markup {
  return markup`<section>
<h2>${heading}</h2>
<p class="note">${text}</p>
<ul class="legend">${series.map(({ name, tone }) => markup`<li class="${tone}">${name}</li>`)}</ul>
<div class="scroll">${chart}</div>
</section>`;
}

function holidayNear(day: Day): string | undefined {
  const before = holidayOn(addDays(day, -1));
  const after = holidayOn(addDays(day, 1));
  return holidayOn(day) ?? (before && `Day after ${before}`) ?? (after && `Day before ${after}`);
}

/** The first week of each quarter; the year is named once. */
function quarterTicks(weeks: readonly Day[]): Mark[] {
  const quarterOf = (day: Day | undefined) => day && Math.floor((Number(day.slice(5, 7)) - 1) / 3);
  const ticks = weeks.flatMap((day, at) => (quarterOf(day) === quarterOf(weeks[at - 1]) ? [] : [{ at, day }]));
  return ticks.map(({ at, day }, index) => {
    const isNewYear = day.slice(0, 4) !== ticks[index - 1]?.day.slice(0, 4);
    return { at, text: monthName(day) + (isNewYear ? ` ${day.slice(0, 4)}` : "") };
  });
}

function monthName(day: Day): string {
  return new Date(day).toLocaleDateString("en-US", { month: "short", timeZone: "UTC" });
}

function shortDay(day: Day): string {
  return new Date(day).toLocaleDateString("en-US", { month: "short", day: "numeric", timeZone: "UTC" });
}

function longDay(day: Day): string {
  return new Date(day).toLocaleDateString("en-US", { month: "long", day: "numeric", year: "numeric", timeZone: "UTC" });
}

function signed(value: number, digits = 0): string {
  const text = Math.abs(value).toFixed(digits);
  return value < 0 ? `−${text}` : `+${text}`;
}
