import { describe, expectTypeOf, it } from "vitest";
import { z } from "zod";
import { type Engine, type GroupNode, type Node, type Pipeline, pipeline, type RunInfo } from "../index.js";

declare const engine: Engine;

const train = pipeline("train", { params: z.object({ region: z.string(), days: z.number().default(7) }) }, (p) => ({
  model: p.task("fit", ({ params }) => ({ region: params.region, weight: params.days })),
  rows: p.map("rows", { over: [1, 2] }, ({ item }) => String(item)),
}));
const plain = pipeline("plain", (p) => void p.task("a", () => 1));

interface Model {
  region: string;
  weight: number;
}

describe("p.group()", () => {
  it("hands out what its build function returned, as an object and one by one", () => {
    pipeline("work", (p) => {
      const prep = p.group("prep", (g) => ({ a: g.task("a", () => 1), b: g.map("b", { over: [1] }, () => "x") }));
      expectTypeOf(prep).toExtend<Node<{ a: number; b: string[] }>>();
      expectTypeOf(prep.outputs.a).toEqualTypeOf<Node<number>>();
      p.task("whole", { needs: { prep } }, ({ input }) => {
        expectTypeOf(input.prep).toEqualTypeOf<{ a: number; b: string[] }>();
      });
      p.task("single", { needs: { b: prep.outputs.b }, triggerRule: "all-done" }, ({ input }) => {
        expectTypeOf(input.b).toEqualTypeOf<string[] | undefined>();
      });
      // @ts-expect-error it put out nothing of that name
      p.task("none", { needs: { c: prep.outputs.c } }, () => 1);
    });
  });

  it("without a result puts out nothing", () => {
    pipeline("work", (p) => {
      const prep = p.group("prep", (g) => void g.task("a", () => 1));
      p.task("t", { needs: { prep } }, ({ input }) => {
        expectTypeOf(input.prep).toEqualTypeOf<void>();
      });
    });
  });

  it("in a group hands its outputs through", () => {
    pipeline("work", (p) => {
      const outer = p.group("outer", (g) => ({ inner: g.group("inner", (h) => ({ v: h.task("v", () => 1n) })) }));
      p.task("t", { needs: { outer } }, ({ input }) => {
        expectTypeOf(input.outer).toEqualTypeOf<{ inner: { v: bigint } }>();
      });
      expectTypeOf(outer.outputs.inner).toExtend<GroupNode<{ v: bigint }, { v: Node<bigint> }>>();
    });
  });

  it("passes params on, and takes no needs, trigger rule or executor", () => {
    pipeline("work", { params: z.object({ n: z.number() }) }, (p) => {
      p.group("g", { concurrency: 2, retry: { attempts: 2 }, timeout: { total: "1h" }, allowFailure: true }, (g) => {
        g.task("t", ({ params }) => {
          expectTypeOf(params).toEqualTypeOf<{ n: number }>();
        });
      });
      const up = p.task("up", () => 1);
      // @ts-expect-error its tasks have needs of their own
      p.group("a", { needs: { up } }, (g) => void g.task("t", () => 1));
      // @ts-expect-error it starts when all before it succeeded
      p.group("b", { triggerRule: "all-done" }, (g) => void g.task("t", () => 1));
    });
  });

  it("may come after a branch's path", () => {
    pipeline("work", (p) => {
      const gate = p.branch("gate", {}, () => "x" as "x" | "y");
      p.group("g", { after: [gate.when("x")] }, (g) => void g.task("t", () => 1));
      // @ts-expect-error the branch has no such path
      p.group("h", { after: [gate.when("z")] }, (g) => void g.task("t", () => 1));
    });
  });
});

describe("a mapped group", () => {
  it("gives its tasks the item and index, and its outside lists", () => {
    pipeline("work", (p) => {
      const list = p.task("list", () => [{ id: "a" }]);
      const each = p.group("each", { over: list, maxItems: 5, concurrency: 2 }, (g) => {
        const a = g.task("a", ({ item, index }) => {
          expectTypeOf(item).toEqualTypeOf<{ id: string }>();
          expectTypeOf(index).toEqualTypeOf<number>();
          return item.id;
        });
        g.task("t", { needs: { a } }, ({ input, item, ...rest }) => {
          expectTypeOf(input.a).toEqualTypeOf<string>();
          expectTypeOf(rest).not.toHaveProperty("outer");
        });
        return { a };
      });
      expectTypeOf(each.outputs.a).toEqualTypeOf<Node<string[]>>();
      p.task("all", { needs: { each, a: each.outputs.a } }, ({ input }) => {
        expectTypeOf(input.each).toEqualTypeOf<{ a: string }[]>();
        expectTypeOf(input.a).toEqualTypeOf<string[]>();
      });
      p.map("again", { over: each.outputs.a }, ({ item }) => {
        expectTypeOf(item).toEqualTypeOf<string>();
      });
    });
  });

  it("is the outer one of maps and groups inside it", () => {
    pipeline("work", (p) => {
      const outer = p.group("o", { over: ["a"] }, (g) => {
        const m = g.map("m", { over: [1] }, ({ item, outer: o }) => {
          expectTypeOf(item).toEqualTypeOf<number>();
          expectTypeOf(o).toEqualTypeOf<string>();
          return true;
        });
        const inner = g.group("i", { over: m }, (h) => ({
          t: h.task("t", ({ item, outer: o }) => {
            expectTypeOf(item).toEqualTypeOf<boolean>();
            expectTypeOf(o).toEqualTypeOf<string>();
            return 1;
          }),
        }));
        g.group("plain", (h) => {
          h.task("t", ({ item }) => {
            expectTypeOf(item).toEqualTypeOf<string>();
          });
        });
        return { ts: inner.outputs.t, inner };
      });
      expectTypeOf(outer.outputs.ts).toEqualTypeOf<Node<number[][]>>();
      expectTypeOf(outer.outputs.inner).toEqualTypeOf<Node<{ t: number }[][]>>();
    });
  });

  it("has no item outside of it", () => {
    pipeline("work", (p) => {
      p.group("plain", (g) => {
        g.task("t", (context) => {
          // @ts-expect-error nothing is mapped here
          return context.item;
        });
      });
    });
  });
});

describe("p.run()", () => {
  it("puts out the result of the other pipeline", () => {
    const work = pipeline("work", (p) => {
      const n = p.task("n", () => 3);
      const child = p.run("child", train, { needs: { n }, params: ({ input }) => ({ region: "eu", days: input.n }) });
      expectTypeOf(child).toEqualTypeOf<Node<{ model: Model; rows: string[] }>>();
      return { child, none: p.run("plain", plain) };
    });
    expectTypeOf(work).toExtend<
      Pipeline<Record<never, never>, { child: { model: Model; rows: string[] }; none: void }>
    >();
  });

  it("takes params as callers of that pipeline do, and demands them where they do", () => {
    pipeline("work", (p) => {
      p.run("async", train, { params: async () => ({ region: "eu" }) });
      // @ts-expect-error region is missing
      p.run("missing", train, { params: () => ({ days: 1 }) });
      // @ts-expect-error days is a number
      p.run("wrong", train, { params: () => ({ region: "eu", days: "1" }) });
      // @ts-expect-error there is a param that has to be given
      p.run("none", train);
      // @ts-expect-error there is a param that has to be given
      p.run("no-function", train, { retry: { attempts: 2 } });
      p.run("plain", plain, { retry: { attempts: 2 } });
    });
  });

  it("gives its params function the item of a mapped group, and input as the rule makes it", () => {
    pipeline("work", (p) => {
      p.group("each", { over: ["eu"] }, (g) => {
        const n = g.task("n", () => 1);
        g.run("child", train, {
          needs: { n },
          triggerRule: "all-done",
          params: ({ item, input }) => {
            expectTypeOf(input.n).toEqualTypeOf<number | undefined>();
            return { region: item };
          },
        });
      });
    });
  });
});

describe("RunInfo", () => {
  it("knows its parent", () => {
    expectTypeOf<RunInfo["parent"]>().toEqualTypeOf<
      { readonly runId: string; readonly task: string; readonly index: readonly number[] } | undefined
    >();
    expectTypeOf(engine.runs.list).toBeCallableWith({ parent: "run" });
  });
});
