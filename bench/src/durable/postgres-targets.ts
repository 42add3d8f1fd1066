import type { Outcome } from "../child.js";
import { type Claim, decimals, type Effort, inPercent, judge, type Target, times } from "../report.js";
import { chains, fibonaccis, one, parallel, singles } from "./assignments.js";
import { type DurableRow, find, quotient, rateOf, timeOf } from "./comparison.js";

/** How many queries a second an idle engine asks, with notifications and without. */
export type IdleQueries = Readonly<Record<"on" | "off", Outcome<number>>>;

const perTask = (figure: number) => `${decimals(figure)} per task`;
const perSecond = (figure: number) => `${decimals(figure)}/s`;

/** What runs on Postgres may cost, beside peers and beside bare commits. */
export function commitTargets(rows: readonly DurableRow[], effort: Effort): Target[] {
  const titles = {
    chains: chains(effort).title,
    parallel: parallel(effort).title,
    singles: singles(effort).title,
    fibonaccis: fibonaccis().title,
    one: one().title,
  };
  const own = (title: string) => find(rows, "weftline", title);
  const faster = (title: string, peer: "DBOS" | "bare loop") =>
    quotient(rateOf(own(title)), rateOf(find(rows, peer, title)));
  const slower = (title: string, peer: "bare loop" | "bare commit") =>
    quotient(timeOf(own(title)), timeOf(find(rows, peer, title)));
  const target = (claim: Claim, figure: number | string) => judge(claim, figure, effort);
  const least = (what: string, limit: number): Claim => ({ what, bound: "at least", limit, show: times });
  const most = (what: string, limit: number): Claim => ({ what, bound: "at most", limit, show: times });
  const trips = (title: string): Claim => ({
    what: `round trips to Postgres, ${title}`,
    bound: "under",
    limit: 0.1,
    show: perTask,
  });
  return [
    target(least(`faster than DBOS on Postgres, ${titles.chains}`, 30), faster(titles.chains, "DBOS")),
    target(
      { what: `of a bare loop on Postgres, ${titles.chains}`, bound: "at least", limit: 0.5, show: inPercent },
      faster(titles.chains, "bare loop"),
    ),
    target(least(`faster than DBOS on Postgres, ${titles.parallel}`, 100), faster(titles.parallel, "DBOS")),
    target(least(`faster than DBOS on Postgres, ${titles.singles}`, 10), faster(titles.singles, "DBOS")),
    target(
      most(`${titles.fibonaccis}, in times of a bare loop on Postgres`, 2),
      slower(titles.fibonaccis, "bare loop"),
    ),
    target(most(`${titles.one}, trigger to result, in bare commits on Postgres`, 4), slower(titles.one, "bare commit")),
    target(trips(titles.chains), roundTripsOf(own(titles.chains))),
    target(trips(titles.parallel), roundTripsOf(own(titles.parallel))),
  ];
}

export function idleTargets({ on, off }: IdleQueries, effort: Effort): Target[] {
  const target = (notifications: string, outcome: Outcome<number>) =>
    judge(
      {
        what: `queries of an idle engine, notifications ${notifications}`,
        bound: "at most",
        limit: 1,
        show: perSecond,
      },
      outcome.ok ? outcome.value : outcome.why,
      effort,
    );
  return [target("on", on), target("off", off)];
}

function roundTripsOf(row: DurableRow | undefined): number | string {
  return row?.roundTrips ?? row?.why ?? "not counted";
}
