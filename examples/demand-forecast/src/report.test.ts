import { describe, expect, it } from "vitest";
import { LAST_DAY, toDailyDemand, usBirths } from "./data.js";
import { backTest, evaluate, HOLDOUT_DAYS, makeFolds, splitHoldout } from "./evaluate.js";
import { buildFeatures } from "./features.js";
import { forecastAhead, trainModel } from "./model.js";
import { type ReportInput, renderReport } from "./report.js";

const demand = toDailyDemand(await usBirths.fetch(LAST_DAY, new AbortController().signal));
const table = buildFeatures(demand);
const { training, holdout } = splitHoldout(table, HOLDOUT_DAYS);
const candidate = trainModel(training);

const foldScores = makeFolds(table).map((fold) => backTest(table, fold));

const input: ReportInput = {
  day: LAST_DAY,
  evaluation: evaluate({ candidate, deployed: undefined, holdout, foldScores }),
  foldScores,
  nextWeek: forecastAhead(candidate, demand),
};

describe("renderReport()", () => {
  const html = renderReport(input);

  it("states the decision and the accuracies", () => {
    expect(html).toContain("<strong>Deploy</strong> No model is deployed yet");
    expect([...html.matchAll(/<dd>(.*?)<\/dd>/g)].map(([, mape]) => mape)).toEqual(["2.62 %", "–", "3.37 %", "4.22 %"]);
  });

  it("draws four charts", () => {
    expect(html.match(/<svg /g)).toHaveLength(4);
    expect(html.match(/<polyline /g)).toHaveLength(4);
    expect(html.match(/<rect class="bar /g)).toHaveLength(12 * 3 + 8 * 2);
  });

  it("contains no broken number", () => expect(html).not.toMatch(/NaN|Infinity|undefined|\[object/));

  it("needs nothing from elsewhere", () => expect(html).not.toMatch(/<script|<link|src=|url\(|https?:/));

  it("closes every element it opens", () => {
    const open: string[] = [];
    for (const [, end, name, empty] of html.matchAll(/<(\/?)([a-z][a-z0-9]*)[^>]*?(\/?)>/g)) {
      if (empty || name === "meta") continue;
      if (end) expect(open.pop()).toBe(name);
      else open.push(name!);
    }
    expect(open).toEqual([]);
  });

  it("escapes what it is given", () => {
    const reason = `<script>alert("x")</script> & 'more'`;
    const hostile = renderReport({
      ...input,
      evaluation: { ...input.evaluation, decision: { choice: "keep", reason } },
    });
    expect(hostile).not.toContain("<script>");
    expect(hostile).toContain("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &#39;more&#39;");
  });

  it("shows the deployed model once there is one", () => {
    const evaluation = evaluate({ candidate, deployed: candidate, holdout, foldScores });
    expect(renderReport({ ...input, evaluation })).toContain('<th scope="row">Deployed model</th>');
    expect(html).not.toContain('<th scope="row">Deployed model</th>');
  });

  it("leaves the next seven days out when no model is in force", () => {
    expect(html).toContain("Thursday, 2015-01-01");
    expect(renderReport({ ...input, nextWeek: [] })).not.toContain("The next seven days");
  });
});
