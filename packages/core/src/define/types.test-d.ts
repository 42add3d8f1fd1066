import { type } from "arktype";
import * as v from "valibot";
import { describe, expectTypeOf, it } from "vitest";
import { z } from "zod";
import {
  type ArtifactData,
  type BranchNode,
  cron,
  type Duration,
  type Engine,
  type ErrorRecord,
  every,
  type MapContext,
  type Node,
  type Pipeline,
  pipeline,
  type RunHandle,
  type RunStatus,
  type Schedule,
  type TaskContext,
  type TriggerOptions,
  type TriggerRule,
} from "../index.js";

declare const engine: Engine;

interface Sales {
  readonly rows: readonly { readonly region: string; readonly amount: number }[];
}
interface Model {
  readonly region: string;
  readonly weight: number;
}
declare function fetchSales(day: string, signal: AbortSignal): Promise<Sales>;
declare function byRegion(sales: Sales): { region: string; rows: Sales["rows"] }[];
declare function train(part: { region: string; rows: Sales["rows"] }): Promise<Model>;
declare function evaluate(models: readonly Model[], sales: Sales): Promise<{ better: boolean; mape: number }>;
declare function deploy(models: readonly Model[]): Promise<number>;

const forecast = pipeline(
  "demand-forecast",
  {
    params: z.object({ day: z.iso.date() }),
    schedule: cron("0 2 * * *", {
      timeZone: "Europe/Berlin",
      params: ({ instant }) => ({ day: new Date(instant).toISOString().slice(0, 10) }),
    }),
    defaults: { retry: { attempts: 4, delay: "2s", backoff: "exponential", maxDelay: "5m" }, timeout: "10m" },
  },
  (p) => {
    const sales = p.task("fetch-sales", ({ params, signal }) => fetchSales(params.day, signal));
    const regions = p.task("split", { needs: { sales } }, ({ input }) => byRegion(input.sales));
    const models = p.map("train", { over: regions, executor: "cpu", concurrency: 4 }, ({ item }) => train(item));
    const report = p.task("evaluate", { needs: { models, sales } }, async ({ input, metric }) => {
      const score = await evaluate(input.models, input.sales);
      metric("mape", score.mape);
      return score;
    });
    const gate = p.branch("gate", { needs: { report } }, ({ input }) => (input.report.better ? "deploy" : "keep"));
    p.task("deploy", { needs: { models }, after: [gate.when("deploy")] }, ({ input }) => deploy(input.models));

    expectTypeOf(sales).toEqualTypeOf<Node<Sales>>();
    expectTypeOf(models).toEqualTypeOf<Node<Model[]>>();
    expectTypeOf(report).toEqualTypeOf<Node<{ better: boolean; mape: number }>>();
    expectTypeOf(gate).toEqualTypeOf<BranchNode<"deploy" | "keep">>();
    return { report, models };
  },
);

describe("pipeline()", () => {
  it("infers params and result of the sample without an annotation", () => {
    type Result = { report: { better: boolean; mape: number }; models: Model[] };
    expectTypeOf(forecast).toEqualTypeOf<Pipeline<{ day: string }, Result>>();
  });

  it("has no result when its build function returns nothing", () => {
    const silent = pipeline("silent", (p) => {
      p.task("a", () => 1);
    });
    // biome-ignore lint/complexity/noBannedTypes: a pipeline without a schema takes `{}`
    expectTypeOf(silent).toEqualTypeOf<Pipeline<{}, void>>();
  });

  it("awaits outputs in its result", () => {
    const both = pipeline("both", { title: "Both" }, (p) => ({
      now: p.task("now", () => 1 as const),
      later: p.task("later", async () => new Date()),
    }));
    // biome-ignore lint/complexity/noBannedTypes: a pipeline without a schema takes `{}`
    expectTypeOf(both).toEqualTypeOf<Pipeline<{}, { now: 1; later: Date }>>();
  });

  it("takes what a schema takes, and gives tasks what it returns", () => {
    const schema = z.object({ day: z.string(), n: z.coerce.number().default(3), at: z.string().transform(Number) });
    const converted = pipeline("converted", { params: schema }, (p) => {
      p.task("a", ({ params }) => {
        expectTypeOf(params).toEqualTypeOf<{ day: string; n: number; at: number }>();
      });
    });
    type Input = { day: string; n?: unknown; at: string };
    expectTypeOf(converted).toEqualTypeOf<Pipeline<Input, void>>();
  });

  it("infers params from valibot and arktype as well", () => {
    const valibot = pipeline("valibot", { params: v.object({ n: v.optional(v.number(), 1) }) }, (p) => {
      p.task("a", ({ params }) => {
        expectTypeOf(params).toEqualTypeOf<{ n: number }>();
      });
    });
    const arktype = pipeline("arktype", { params: type({ day: "string" }) }, (p) => {
      p.task("a", ({ params }) => {
        expectTypeOf(params.day).toEqualTypeOf<string>();
      });
    });
    expectTypeOf(engine.trigger(valibot, { n: 1 })).resolves.toEqualTypeOf<RunHandle<void>>();
    expectTypeOf(engine.trigger(arktype, { day: "x" })).resolves.toEqualTypeOf<RunHandle<void>>();
  });

  it("refuses a result that is no task", () => {
    // @ts-expect-error a number is no handle
    pipeline("x", (p) => ({ a: p.task("a", () => 1), b: 2 }));
    // @ts-expect-error an async build function
    pipeline("x", async (p) => {
      p.task("a", () => 1);
    });
  });

  it("refuses options it does not know and values out of their unions", () => {
    // @ts-expect-error unknown value
    pipeline("x", { failWhen: "all" }, (p) => ({ a: p.task("a", () => 1) }));
    // @ts-expect-error not a schema
    pipeline("x", { params: { day: "string" } }, (p) => ({ a: p.task("a", () => 1) }));
    // @ts-expect-error not a schedule
    pipeline("x", { schedule: "0 2 * * *" }, (p) => ({ a: p.task("a", () => 1) }));
    // @ts-expect-error not a duration
    pipeline("x", { timeout: "10 minutes" }, (p) => ({ a: p.task("a", () => 1) }));
  });
});

describe("task()", () => {
  it("types input by the tasks it needs, under the names it gave them", () => {
    pipeline("inputs", (p) => {
      const a = p.task("a", () => 1);
      const b = p.task("b", async () => "text");
      p.task("c", { needs: { first: a, second: b } }, ({ input }) => {
        expectTypeOf(input).toEqualTypeOf<{ readonly first: number; readonly second: string }>();
        // @ts-expect-error not needed
        input.a;
      });
      p.task("d", { needs: { a } }, ({ input }) => {
        // @ts-expect-error of another type
        const wrong: string = input.a;
        return wrong;
      });
      p.task("e", ({ input }) => {
        // @ts-expect-error nothing is needed
        input.a;
      });
    });
  });

  it("makes inputs optional under every rule but all-success", () => {
    pipeline("rules", (p) => {
      const a = p.task("a", () => 1);
      const needs = { a };
      type Certain = { readonly a: number };
      type Possible = { readonly a: number | undefined };
      const of =
        <Input>() =>
        ({ input }: TaskContext<unknown, Input>) =>
          input;
      p.task("1", { needs }, ({ input }) => expectTypeOf(input).toEqualTypeOf<Certain>());
      p.task("2", { needs, triggerRule: "all-success" }, ({ input }) => expectTypeOf(input).toEqualTypeOf<Certain>());
      p.task("3", { needs, triggerRule: "all-failed" }, ({ input }) => expectTypeOf(input).toEqualTypeOf<Possible>());
      p.task("4", { needs, triggerRule: "all-done" }, ({ input }) => expectTypeOf(input).toEqualTypeOf<Possible>());
      p.task("5", { needs, triggerRule: "all-done-min-one-success" }, ({ input }) =>
        expectTypeOf(input).toEqualTypeOf<Possible>(),
      );
      p.task("6", { needs, triggerRule: "all-skipped" }, ({ input }) => expectTypeOf(input).toEqualTypeOf<Possible>());
      p.task("7", { needs, triggerRule: "one-success" }, ({ input }) => expectTypeOf(input).toEqualTypeOf<Possible>());
      p.task("8", { needs, triggerRule: "one-failed" }, ({ input }) => expectTypeOf(input).toEqualTypeOf<Possible>());
      p.task("9", { needs, triggerRule: "one-done" }, ({ input }) => expectTypeOf(input).toEqualTypeOf<Possible>());
      p.task("10", { needs, triggerRule: "none-failed" }, ({ input }) => expectTypeOf(input).toEqualTypeOf<Possible>());
      p.task("11", { needs, triggerRule: "none-failed-min-one-success" }, ({ input }) =>
        expectTypeOf(input).toEqualTypeOf<Possible>(),
      );
      p.task("12", { needs, triggerRule: "none-skipped" }, ({ input }) =>
        expectTypeOf(input).toEqualTypeOf<Possible>(),
      );
      p.task("13", { needs, triggerRule: "always" }, ({ input }) => expectTypeOf(input).toEqualTypeOf<Possible>());
      // @ts-expect-error read as if it were certain
      p.task("14", { needs, triggerRule: "all-done" }, ({ input }) => input.a.toFixed());
      // @ts-expect-error a function of another rule
      p.task("15", { needs, triggerRule: "all-done" }, of<Certain>());
    });
  });

  it("gives `when` the same context as the function", () => {
    pipeline("conditions", { params: z.object({ day: z.string() }) }, (p) => {
      const a = p.task("a", () => 1);
      p.task("b", { needs: { a }, when: ({ input, params }) => input.a > 1 && params.day === "x" }, () => 1);
      // @ts-expect-error `when` answers true or false
      p.task("c", { needs: { a }, when: ({ input }) => input.a }, () => 1);
    });
  });

  it("refuses wrong wiring", () => {
    pipeline("wiring", (p) => {
      const a = p.task("a", () => 1);
      // @ts-expect-error an id is no handle
      p.task("b", { needs: { a: "a" } }, () => 1);
      // @ts-expect-error a list instead of names
      p.task("b", { needs: [a.id] }, () => 1);
      // @ts-expect-error one edge instead of a list
      p.task("b", { after: a }, () => 1);
      // @ts-expect-error unknown rule
      p.task("b", { triggerRule: "all_success" }, () => 1);
      // @ts-expect-error unknown option
      p.task("b", { retries: 3 }, () => 1);
      // @ts-expect-error no function
      p.task("b", { needs: { a } });
      // @ts-expect-error a policy needs its number of attempts
      p.task("b", { retry: { delay: "1s" } }, () => 1);
      // @ts-expect-error only branches have paths
      a.when("x");
    });
  });

  it("gives a context of known types", () => {
    pipeline("context", (p) => {
      p.task("a", (context) => {
        expectTypeOf(context.attempt).toEqualTypeOf<number>();
        expectTypeOf(context.signal).toEqualTypeOf<AbortSignal>();
        expectTypeOf(context.idempotencyKey).toEqualTypeOf<string>();
        expectTypeOf(context.metric).toEqualTypeOf<(name: string, value: number) => void>();
        expectTypeOf(context.artifact).parameter(0).toEqualTypeOf<ArtifactData>();
        // @ts-expect-error only a map has items
        context.item;
        // @ts-expect-error a metric is a number
        context.metric("rows", "12");
      });
    });
  });
});

describe("map()", () => {
  it("types items by the list, and its output as a list", () => {
    pipeline("maps", { params: z.object({ day: z.string() }) }, (p) => {
      const numbers = p.task("numbers", async () => [1, 2, 3]);
      const texts = p.map("texts", { over: numbers }, ({ item, index, params }) => {
        expectTypeOf(item).toEqualTypeOf<number>();
        expectTypeOf(index).toEqualTypeOf<number>();
        return `${params.day} ${item}`;
      });
      expectTypeOf(texts).toEqualTypeOf<Node<string[]>>();
      const lengths = p.map("lengths", { over: texts, needs: { numbers } }, async ({ item, input }) => {
        expectTypeOf(item).toEqualTypeOf<string>();
        return item.length + input.numbers.length;
      });
      expectTypeOf(lengths).toEqualTypeOf<Node<number[]>>();
      const fixed = p.map("fixed", { over: ["a", 1] }, ({ item }) => item);
      expectTypeOf(fixed).toEqualTypeOf<Node<(string | number)[]>>();
      p.map("rule", { over: numbers, needs: { texts }, triggerRule: "all-done" }, (context) => {
        type Expected = MapContext<{ day: string }, { readonly texts: string[] | undefined }, number>;
        expectTypeOf(context).branded.toEqualTypeOf<Expected>();
        expectTypeOf<keyof typeof context>().toEqualTypeOf<keyof Expected>();
      });
    });
  });

  it("gives `when` the item", () => {
    pipeline("map-conditions", (p) => {
      const numbers = p.task("numbers", () => [1, 2, 3]);
      p.map("a", { over: numbers, when: ({ item, index }) => item > index }, ({ item }) => item);
    });
  });

  it("refuses to run over what is no list", () => {
    pipeline("no-lists", (p) => {
      const one = p.task("one", () => 1);
      // @ts-expect-error the output is no list
      p.map("a", { over: one }, ({ item }) => item);
      // @ts-expect-error a text is no list
      p.map("a", { over: "abc" }, ({ item }) => item);
      // @ts-expect-error no list
      p.map("a", {}, ({ item }) => item);
    });
  });
});

describe("branch()", () => {
  it("knows its choices from what its function returns", () => {
    pipeline("branches", (p) => {
      const n = p.task("n", () => 1);
      const gate = p.branch("gate", { needs: { n } }, async ({ input }) => (input.n > 1 ? "big" : "small"));
      expectTypeOf(gate).toEqualTypeOf<BranchNode<"big" | "small">>();
      p.task("a", { after: [gate.when("big"), gate.when("small"), n] }, () => 1);
      p.task("b", { needs: { gate } }, ({ input }) => {
        expectTypeOf(input.gate).toEqualTypeOf<"big" | "small">();
      });
      // @ts-expect-error unknown choice
      gate.when("medium");
      // @ts-expect-error a choice is a text
      p.branch("gate", {}, () => 1);
    });
  });
});

describe("order()", () => {
  it("takes handles and choices", () => {
    pipeline("orders", (p) => {
      const a = p.task("a", () => 1);
      const gate = p.branch("gate", {}, () => "x");
      expectTypeOf(p.order(a, gate)).toEqualTypeOf<void>();
      p.order(gate.when("x"), a);
      // @ts-expect-error an edge is no task
      p.order(a, gate.when("x"));
      // @ts-expect-error an id is no task
      p.order("a", gate);
    });
  });
});

describe("cron() and every()", () => {
  it("have to give the params their pipeline requires", () => {
    const params = z.object({ day: z.string(), n: z.number().default(1) });
    pipeline("a", { params, schedule: every("1h", { params: () => ({ day: "x" }) }) }, (p) => ({
      a: p.task("a", () => 1),
    }));
    // @ts-expect-error no params
    pipeline("a", { params, schedule: cron("0 2 * * *", { timeZone: "UTC" }) }, (p) => ({ a: p.task("a", () => 1) }));
    // @ts-expect-error of a wrong type
    pipeline("a", { params, schedule: every("1h", { params: (fire) => ({ day: fire.instant }) }) }, (p) => ({
      a: p.task("a", () => 1),
    }));
  });

  it("need no params where none are required", () => {
    const params = z.object({ n: z.number().default(1) });
    pipeline("a", { params, schedule: cron("0 2 * * *") }, (p) => ({ a: p.task("a", () => 1) }));
    pipeline("a", { schedule: every("15m") }, (p) => ({ a: p.task("a", () => 1) }));
    expectTypeOf(every("15m", { params: ({ instant }) => ({ instant }) })).toEqualTypeOf<
      Schedule<{ instant: number }>
    >();
  });

  it("take a duration with a unit", () => {
    expectTypeOf<"15m">().toExtend<Duration>();
    expectTypeOf<"1.5h">().toExtend<Duration>();
    expectTypeOf<"15">().not.toExtend<Duration>();
    expectTypeOf<"1w">().not.toExtend<Duration>();
  });
});

describe("trigger() and run()", () => {
  const required = pipeline("required", { params: z.object({ day: z.string() }) }, (p) => ({
    a: p.task("a", () => 1),
  }));
  const optional = pipeline("optional", { params: z.object({ n: z.number().default(1) }) }, (p) => ({
    a: p.task("a", () => "text"),
  }));
  const none = pipeline("none", (p) => ({ a: p.task("a", () => true) }));

  it("resolve to the typed result", () => {
    expectTypeOf(engine.trigger(required, { day: "x" })).resolves.toEqualTypeOf<RunHandle<{ a: number }>>();
    expectTypeOf(engine.run(optional)).resolves.toEqualTypeOf<{ a: string }>();
    expectTypeOf<RunHandle<{ a: boolean }>["result"]>().returns.resolves.toEqualTypeOf<{ a: boolean }>();
    expectTypeOf<RunHandle["status"]>().returns.resolves.toEqualTypeOf<RunStatus>();
  });

  it("require params only where the schema does", () => {
    expectTypeOf(engine.trigger<{ day: string }, unknown>).parameters.toEqualTypeOf<
      [pipeline: Pipeline<{ day: string }, unknown>, params: { day: string }, options?: TriggerOptions]
    >();
    void engine.run(optional, { n: 2 }, { key: "k" });
    void engine.run(none);
    void engine.run(none, {}, { key: "k" });
    // @ts-expect-error params are missing
    void engine.run(required);
    // @ts-expect-error a param is missing
    void engine.trigger(required, {});
    // @ts-expect-error a param of another type
    void engine.trigger(required, { day: 3 });
    // @ts-expect-error a param of another type
    void engine.run(optional, { n: "2" });
    // @ts-expect-error a pipeline, not its id
    void engine.run("required");
  });
});

describe("on()", () => {
  it("types each event's payload", () => {
    engine.on("run:finished", (event) => {
      expectTypeOf(event.status).toEqualTypeOf<RunStatus>();
      expectTypeOf(event.error).toEqualTypeOf<ErrorRecord | undefined>();
    });
    engine.on("task:failed", (event) => {
      expectTypeOf(event.index).toEqualTypeOf<readonly number[]>();
      expectTypeOf(event.error).toEqualTypeOf<ErrorRecord>();
    });
    engine.on("task:retrying", ({ retryAt }) => expectTypeOf(retryAt).toEqualTypeOf<number>());
    // @ts-expect-error unknown event
    engine.on("task:done", () => {});
    // @ts-expect-error not in this event
    engine.on("run:started", ({ status }) => status);
  });
});

describe("TriggerRule", () => {
  it("is a closed list", () => {
    expectTypeOf<"all-done">().toExtend<TriggerRule>();
    expectTypeOf<"all_done">().not.toExtend<TriggerRule>();
  });
});
