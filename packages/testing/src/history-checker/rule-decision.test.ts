import { describe, expect, it } from "vitest";
import { TRIGGER_RULES } from "weftline";
import { ruleDecision, type Upstream } from "./rule-decision.js";

/** The published table, in the order of `TRIGGER_RULES`. S succeeded, F failed, K skipped, U upstream-failed, · not finished; r run, w wait, k skip, u upstream-failed. */
const ROWS = `
S       r k r r k r k r r r r r
F       u r r u k u r r u u r r
K       k k r k r k k k r k k r
U       u r r u k u r k u u r r
·       w w w w w w w w w w w r
S S     r k r r k r k r r r r r
S F     u k r r k r r r u u r r
S K     k k r k k r k r r r k r
S U     u k r r k r r r u u r r
S ·     w k w w k r w r w w w r
F F     u r r u k u r r u u r r
F K     u k r k k u r r u u k r
F U     u r r u k u r r u u r r
F ·     u w w w k w r r u u w r
K K     k k r k r k k k r k k r
K U     u k r k k u r k u u k r
K ·     k k w k w w w w w w k r
U U     u r r u k u r k u u r r
U ·     u w w w k w r w u u w r
· ·     w w w w w w w w w w w r
S F K   u k r k k r r r u u k r
S F U   u k r r k r r r u u r r
S F ·   u k w w k r r r u u w r
S K U   u k r k k r r r u u k r
S K ·   k k w k k r w r w w k r
S U ·   u k w w k r r r u u w r
F K U   u k r k k u r r u u k r
F K ·   u k w k k w r r u u k r
F U ·   u w w w k w r r u u w r
K U ·   u k w k k w r w u u k r`;

const DECISIONS = { r: "run", w: "wait", k: "skip", u: "upstream-failed" } as const;

describe("ruleDecision()", () => {
  it.each(ROWS.trim().split("\n"))("follows the published table: %s", (row) => {
    const [states, decisions] = [row.slice(0, 8), row.slice(8).trim().split(" ")];
    const count = (state: string) => states.split(" ").filter((one) => one === state).length;
    const upstream: Upstream = {
      succeeded: count("S"),
      failed: count("F"),
      skipped: count("K"),
      upstreamFailed: count("U"),
      total: states.trim().split(" ").length,
    };
    for (const [place, rule] of TRIGGER_RULES.entries()) {
      expect.soft(ruleDecision(rule, upstream), rule).toBe(DECISIONS[decisions[place] as keyof typeof DECISIONS]);
    }
  });

  it("lets a task without upstream run, whatever its rule", () => {
    const nothing: Upstream = { succeeded: 0, failed: 0, skipped: 0, upstreamFailed: 0, total: 0 };
    expect(TRIGGER_RULES.map((rule) => ruleDecision(rule, nothing))).toEqual(TRIGGER_RULES.map(() => "run"));
  });
});
