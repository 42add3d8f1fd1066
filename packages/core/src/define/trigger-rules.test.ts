import { describe, expect, it } from "vitest";
import { noEffects } from "../run/effects.js";
import { FAILED, PENDING, READY, type RunState, SKIPPED, UPSTREAM_FAILED } from "../run/state.js";
import { begin, cancelInstance, fail, skip, start, succeed } from "../run/transition.js";
import { type Report, referenceDecision } from "../test-support/reference-run.js";
import { stateOf } from "../test-support/run-states.js";
import { pipeline } from "./pipeline.js";
import { type Decision, decide, TRIGGER_RULES, type TriggerRule } from "./trigger-rules.js";

/**
 * The whole table, columns in the order of `TRIGGER_RULES`. S succeeded, F failed, K skipped, U upstream-failed,
 * · not finished; UPF: upstream-failed.
 */
const TABLE = `
  S     | RUN  | SKIP | RUN  | RUN  | SKIP | RUN  | SKIP | RUN  | RUN  | RUN  | RUN  | RUN
  F     | UPF  | RUN  | RUN  | UPF  | SKIP | UPF  | RUN  | RUN  | UPF  | UPF  | RUN  | RUN
  K     | SKIP | SKIP | RUN  | SKIP | RUN  | SKIP | SKIP | SKIP | RUN  | SKIP | SKIP | RUN
  U     | UPF  | RUN  | RUN  | UPF  | SKIP | UPF  | RUN  | SKIP | UPF  | UPF  | RUN  | RUN
  ·     | wait | wait | wait | wait | wait | wait | wait | wait | wait | wait | wait | RUN
  S S   | RUN  | SKIP | RUN  | RUN  | SKIP | RUN  | SKIP | RUN  | RUN  | RUN  | RUN  | RUN
  S F   | UPF  | SKIP | RUN  | RUN  | SKIP | RUN  | RUN  | RUN  | UPF  | UPF  | RUN  | RUN
  S K   | SKIP | SKIP | RUN  | SKIP | SKIP | RUN  | SKIP | RUN  | RUN  | RUN  | SKIP | RUN
  S U   | UPF  | SKIP | RUN  | RUN  | SKIP | RUN  | RUN  | RUN  | UPF  | UPF  | RUN  | RUN
  S ·   | wait | SKIP | wait | wait | SKIP | RUN  | wait | RUN  | wait | wait | wait | RUN
  F F   | UPF  | RUN  | RUN  | UPF  | SKIP | UPF  | RUN  | RUN  | UPF  | UPF  | RUN  | RUN
  F K   | UPF  | SKIP | RUN  | SKIP | SKIP | UPF  | RUN  | RUN  | UPF  | UPF  | SKIP | RUN
  F U   | UPF  | RUN  | RUN  | UPF  | SKIP | UPF  | RUN  | RUN  | UPF  | UPF  | RUN  | RUN
  F ·   | UPF  | wait | wait | wait | SKIP | wait | RUN  | RUN  | UPF  | UPF  | wait | RUN
  K K   | SKIP | SKIP | RUN  | SKIP | RUN  | SKIP | SKIP | SKIP | RUN  | SKIP | SKIP | RUN
  K U   | UPF  | SKIP | RUN  | SKIP | SKIP | UPF  | RUN  | SKIP | UPF  | UPF  | SKIP | RUN
  K ·   | SKIP | SKIP | wait | SKIP | wait | wait | wait | wait | wait | wait | SKIP | RUN
  U U   | UPF  | RUN  | RUN  | UPF  | SKIP | UPF  | RUN  | SKIP | UPF  | UPF  | RUN  | RUN
  U ·   | UPF  | wait | wait | wait | SKIP | wait | RUN  | wait | UPF  | UPF  | wait | RUN
  · ·   | wait | wait | wait | wait | wait | wait | wait | wait | wait | wait | wait | RUN
  S F K | UPF  | SKIP | RUN  | SKIP | SKIP | RUN  | RUN  | RUN  | UPF  | UPF  | SKIP | RUN
  S F U | UPF  | SKIP | RUN  | RUN  | SKIP | RUN  | RUN  | RUN  | UPF  | UPF  | RUN  | RUN
  S F · | UPF  | SKIP | wait | wait | SKIP | RUN  | RUN  | RUN  | UPF  | UPF  | wait | RUN
  S K U | UPF  | SKIP | RUN  | SKIP | SKIP | RUN  | RUN  | RUN  | UPF  | UPF  | SKIP | RUN
  S K · | SKIP | SKIP | wait | SKIP | SKIP | RUN  | wait | RUN  | wait | wait | SKIP | RUN
  S U · | UPF  | SKIP | wait | wait | SKIP | RUN  | RUN  | RUN  | UPF  | UPF  | wait | RUN
  F K U | UPF  | SKIP | RUN  | SKIP | SKIP | UPF  | RUN  | RUN  | UPF  | UPF  | SKIP | RUN
  F K · | UPF  | SKIP | wait | SKIP | SKIP | wait | RUN  | RUN  | UPF  | UPF  | SKIP | RUN
  F U · | UPF  | wait | wait | wait | SKIP | wait | RUN  | RUN  | UPF  | UPF  | wait | RUN
  K U · | UPF  | SKIP | wait | SKIP | SKIP | wait | RUN  | wait | UPF  | UPF  | SKIP | RUN
`;
const DECISIONS: Readonly<Record<string, Decision>> = {
  RUN: "run",
  wait: "wait",
  SKIP: "skip",
  UPF: "upstream-failed",
};
type Outcome = "S" | "F" | "K" | "U" | "·";
const OUTCOMES: readonly Outcome[] = ["S", "F", "K", "U", "·"];

interface Row {
  readonly upstream: readonly Outcome[];
  readonly rule: TriggerRule;
  readonly decision: Decision;
}

const ROWS: readonly Row[] = TABLE.trim()
  .split("\n")
  .flatMap((line) => {
    const [upstream, ...decisions] = line.split("|").map((cell) => cell.trim());
    return TRIGGER_RULES.map((rule, column) => ({
      upstream: upstream!.split(" ") as Outcome[],
      rule,
      decision: DECISIONS[decisions[column]!]!,
    }));
  });

function decisionFor(rule: TriggerRule, upstream: readonly Outcome[]): Decision {
  const count = (outcome: Outcome) => upstream.filter((one) => one === outcome).length;
  return decide(TRIGGER_RULES.indexOf(rule), count("S"), count("F"), count("K"), count("U"), upstream.length);
}

/** Every sequence of `length` outcomes. */
function sequences(length: number, outcomes: readonly Outcome[]): Outcome[][] {
  if (length === 0) return [[]];
  return sequences(length - 1, outcomes).flatMap((rest) => outcomes.map((outcome) => [outcome, ...rest]));
}

function upTo(length: number, outcomes: readonly Outcome[]): Outcome[][] {
  return Array.from({ length }, (_, n) => sequences(n + 1, outcomes)).flat();
}

const FINISHED = OUTCOMES.slice(0, 4);

describe("decide()", () => {
  it("has a table of 30 rows with 12 rules", () => {
    expect(ROWS).toHaveLength(30 * 12);
    expect(ROWS.every(({ decision }) => decision !== undefined)).toBe(true);
  });

  it.each(TRIGGER_RULES)("F152 follows the table: %s", (rule) => {
    const rows = ROWS.filter((row) => row.rule === rule);
    const shown = (row: Row, decision: Decision) => `${row.upstream.join(" ")}: ${decision}`;
    expect(rows.map((row) => shown(row, decisionFor(rule, row.upstream)))).toEqual(
      rows.map((row) => shown(row, row.decision)),
    );
  });

  it.each(TRIGGER_RULES)("runs a task without upstream, whatever its rule: %s", (rule) => {
    expect(decisionFor(rule, [])).toBe("run");
  });

  describe("F152 for every combination of up to four upstream tasks", () => {
    const REPORTS: Readonly<Record<Outcome, Report | undefined>> = {
      S: "succeeded",
      F: "failed",
      K: "skipped",
      U: "upstream-failed",
      "·": undefined,
    };

    it.each(TRIGGER_RULES)("says what the rule says in words: %s", (rule) => {
      for (const upstream of upTo(4, OUTCOMES)) {
        const reports = upstream.map((outcome) => REPORTS[outcome]);
        expect(decisionFor(rule, upstream), upstream.join(" ")).toBe(referenceDecision(rule, reports));
      }
    });

    it("never waits when all have finished", () => {
      for (const rule of TRIGGER_RULES) {
        for (const upstream of upTo(4, FINISHED)) {
          expect(decisionFor(rule, upstream), `${rule}: ${upstream.join(" ")}`).not.toBe("wait");
        }
      }
    });

    it("never waits or skips under always", () => {
      for (const upstream of upTo(4, OUTCOMES)) expect(decisionFor("always", upstream)).toBe("run");
    });

    it("depends on which outcomes there are, not on how many of each", () => {
      for (const rule of TRIGGER_RULES) {
        for (const upstream of upTo(4, OUTCOMES)) {
          const once = decisionFor(rule, [...new Set(upstream)]);
          expect(decisionFor(rule, upstream), `${rule}: ${upstream.join(" ")}`).toBe(once);
        }
      }
    });

    it("decides early only what no later outcome would change from running to not running or back", () => {
      for (const rule of TRIGGER_RULES) {
        for (const upstream of upTo(3, OUTCOMES).filter((outcomes) => outcomes.includes("·"))) {
          const early = decisionFor(rule, upstream);
          if (early === "wait") continue;
          const known = upstream.filter((outcome) => outcome !== "·");
          for (const rest of sequences(upstream.length - known.length, FINISHED)) {
            const late = decisionFor(rule, [...known, ...rest]);
            expect(late === "run", `${rule}: ${upstream.join(" ")}, then ${rest.join(" ")}`).toBe(early === "run");
          }
        }
      }
    });
  });
});

describe("a task's rule", () => {
  const STATUS_AFTER: Readonly<Record<Decision, number>> = {
    run: READY,
    wait: PENDING,
    skip: SKIPPED,
    "upstream-failed": UPSTREAM_FAILED,
  };

  /** Tasks `r0 u0 r1 u1 …` and the task that is judged: `u` finishes as told, or as its root `r` makes it. */
  function stateWith(rule: TriggerRule, count: number): RunState {
    const defined = pipeline("rules", (p) => {
      const needs: Record<string, ReturnType<typeof p.task>> = {};
      for (let n = 0; n < count; n++) {
        const root = p.task(`r${n}`, () => 1);
        needs[`u${n}`] = p.task(`u${n}`, { after: [root] }, () => 1);
      }
      p.task("judged", { needs, triggerRule: rule }, () => 1);
    });
    return stateOf(defined);
  }

  /** Brings an upstream task to its end through the transitions of a run. */
  const BRING: Readonly<Record<Exclude<Outcome, "·">, (state: RunState, task: number) => void>> = {
    S: (state, task) => runAs(state, task, succeed),
    F: (state, task) => runAs(state, task, fail),
    K: (state, task) => runAs(state, task, skip),
    U: (state, task) => {
      start(state, task - 1);
      fail(state, task - 1, noEffects());
    },
  };

  function runAs(state: RunState, task: number, end: typeof fail): void {
    start(state, task - 1);
    succeed(state, task - 1, noEffects());
    start(state, task);
    end(state, task, noEffects());
  }

  function permutations<Item>(items: readonly Item[]): Item[][] {
    if (items.length < 2) return [[...items]];
    return items.flatMap((item, place) => permutations(items.toSpliced(place, 1)).map((rest) => [item, ...rest]));
  }

  /** The table has no row for each count of each outcome: a row stands for all with the same kinds of outcome. */
  function kindsOf(outcomes: readonly Outcome[]): string {
    return [...new Set(outcomes)].sort().join("");
  }

  /** What the table says once the first of `order` have finished, one after the other: its first answer stays. */
  function tableAfter(rule: TriggerRule, order: readonly Outcome[]): Decision {
    for (let finished = 0; finished <= order.length; finished++) {
      const kinds = kindsOf(order.map((outcome, place) => (place < finished ? outcome : "·")));
      const row = ROWS.find((one) => one.rule === rule && kindsOf(one.upstream) === kinds)!;
      if (row.decision !== "wait") return row.decision;
    }
    return "wait";
  }

  it.each(TRIGGER_RULES)("F152 decides as the table says, whatever the order its upstream finishes in: %s", (rule) => {
    for (const { upstream } of ROWS.filter((row) => row.rule === rule)) {
      for (const order of permutations(upstream.map((outcome, place) => ({ outcome, task: place * 2 + 1 })))) {
        const finished = order.filter(({ outcome }) => outcome !== "·");
        const state = stateWith(rule, upstream.length);
        begin(state, noEffects());
        for (const { outcome, task } of finished) BRING[outcome as Exclude<Outcome, "·">](state, task);
        const outcomes = [...finished, ...order.filter(({ outcome }) => outcome === "·")].map(({ outcome }) => outcome);
        const expected = tableAfter(rule, outcomes);
        expect(state.status[upstream.length * 2], outcomes.join(" ")).toBe(STATUS_AFTER[expected]);
      }
    }
  });

  it.each(TRIGGER_RULES)("counts a cancelled upstream task as failed: %s", (rule) => {
    for (const others of upTo(2, ["S", "F", "K", "U"])) {
      const failed = stateWith(rule, others.length + 1);
      const cancelled = stateWith(rule, others.length + 1);
      for (const state of [failed, cancelled]) {
        begin(state, noEffects());
        for (const [place, outcome] of others.entries()) {
          BRING[outcome as Exclude<Outcome, "·">](state, place * 2 + 1);
        }
      }
      const last = others.length * 2 + 1;
      BRING.F(failed, last);
      start(cancelled, last - 1);
      succeed(cancelled, last - 1, noEffects());
      cancelInstance(cancelled, last, noEffects());
      expect(failed.status[last]).toBe(FAILED);
      expect(cancelled.statusOf(last)).toBe("cancelled");
      expect(cancelled.status[last + 1], others.join(" ")).toBe(failed.status[last + 1]);
    }
  });
});
