import { type } from "arktype";
import * as v from "valibot";
import { describe, expectTypeOf, it } from "vitest";
import { z } from "zod";
import { type CheckResult, type Node, pipeline } from "../index.js";

describe("p.poll", () => {
  it("puts out what its probe finds, without what means not yet", () => {
    pipeline("work", (p) => {
      const file = p.poll("file", { every: "1m" }, (): { path: string } | undefined => undefined);
      const flag = p.poll("flag", { every: 1_000 }, async (): Promise<boolean> => true);
      const falsy = p.poll("falsy", { every: "1m" }, (): null | 0 | "" | false => null);
      const maybe = p.poll("maybe", { every: "1m" }, ({ attempt }) => (attempt > 1 ? "found" : undefined));
      expectTypeOf(file).toEqualTypeOf<Node<{ path: string }>>();
      expectTypeOf(flag).toEqualTypeOf<Node<true>>();
      expectTypeOf(falsy).toEqualTypeOf<Node<null | 0 | "">>();
      expectTypeOf(maybe).toEqualTypeOf<Node<"found">>();
      p.task("after", { needs: { file } }, ({ input }) => {
        expectTypeOf(input.file).toEqualTypeOf<{ path: string }>();
      });
    });
  });

  it("knows its input, and needs an interval", () => {
    pipeline("work", (p) => {
      const day = p.task("day", () => "mon" as const);
      p.poll("file", { needs: { day }, every: "1m", timeout: { attempt: "5s", total: "1h" } }, ({ input }) => {
        expectTypeOf(input.day).toEqualTypeOf<"mon">();
        return true;
      });
      // @ts-expect-error every is missing
      p.poll("never", {}, () => true);
      // @ts-expect-error "often" is no duration
      p.poll("often", { every: "often" }, () => true);
    });
  });
});

describe("p.signal", () => {
  it("puts out what its schema makes of the payload, whichever library that is of", () => {
    pipeline("work", (p) => {
      expectTypeOf(p.signal("any")).toEqualTypeOf<Node<unknown>>();
      expectTypeOf(p.signal("zod", { schema: z.object({ ok: z.boolean() }) })).toEqualTypeOf<Node<{ ok: boolean }>>();
      expectTypeOf(p.signal("length", { schema: z.string().transform((text) => text.length) })).toEqualTypeOf<
        Node<number>
      >();
      expectTypeOf(p.signal("valibot", { schema: v.object({ n: v.number() }) })).toEqualTypeOf<Node<{ n: number }>>();
      expectTypeOf(p.signal("arktype", { schema: type({ s: "string" }) })).toEqualTypeOf<Node<{ s: string }>>();
    });
  });

  it("makes its key of params and items, not of inputs that are not decoded yet", () => {
    pipeline("work", { params: z.object({ order: z.string() }) }, (p) => {
      const data = p.task("data", () => 1);
      p.signal("paid", { needs: { data }, key: ({ params }) => params.order, timeout: "1d" });
      // @ts-expect-error a key is given no input
      p.signal("by-input", { needs: { data }, key: ({ input }) => String(input.data) });
      // @ts-expect-error a key is a text
      p.signal("by-number", { key: () => 5 });
      p.group("each", { over: ["a"] }, (g) => {
        g.signal("said", {
          key: ({ item, index }) => {
            expectTypeOf(item).toEqualTypeOf<string>();
            return `${item}/${index}`;
          },
        });
      });
    });
  });
});

describe("p.sleep and p.sleepUntil", () => {
  it("take a length or a moment, or a function to one, and put out nothing", () => {
    pipeline("work", (p) => {
      const minutes = p.task("minutes", () => 5);
      expectTypeOf(p.sleep("a", "10m")).toEqualTypeOf<Node<void>>();
      p.sleep("b", { for: 1_000, after: [minutes] });
      p.sleep("c", {
        needs: { minutes },
        for: async ({ input }) => {
          expectTypeOf(input.minutes).toEqualTypeOf<number>();
          return `${input.minutes}m` as const;
        },
      });
      expectTypeOf(p.sleepUntil("d", new Date())).toEqualTypeOf<Node<void>>();
      p.sleepUntil("e", { at: 0 });
      p.sleepUntil("f", { needs: { minutes }, at: ({ input }) => new Date(input.minutes) });
      // @ts-expect-error no duration
      p.sleep("g", "ten minutes");
      // @ts-expect-error a function gives a duration
      p.sleep("h", { for: () => new Date() });
      // @ts-expect-error a function gives a moment
      p.sleepUntil("i", { at: () => "tomorrow" });
      // @ts-expect-error a sleep is no attempt that could be retried
      p.sleep("j", { for: "1m", retry: { attempts: 2 } });
    });
  });
});

describe("p.check", () => {
  it("puts out its answer, and has to give one", () => {
    pipeline("work", (p) => {
      const rows = p.task("rows", () => [1, 2]);
      const check = p.check("check", { needs: { rows }, severity: "warning" }, ({ input }) => ({
        passed: input.rows.length > 1,
        message: "rows",
        value: input.rows.length,
      }));
      expectTypeOf(check).toEqualTypeOf<Node<CheckResult>>();
      p.check("promise", {}, async () => true);
      // @ts-expect-error no answer
      p.check("none", {}, () => "yes");
      // @ts-expect-error no severity
      p.check("info", { severity: "info" }, () => true);
    });
  });
});

describe("step()", () => {
  it("gives what its function gives", () => {
    pipeline("work", (p) => {
      p.task("task", async ({ step }) => {
        expectTypeOf(step("a", () => 1)).toEqualTypeOf<Promise<number>>();
        expectTypeOf(await step("b", async () => ({ b: true }))).toEqualTypeOf<{ b: boolean }>();
      });
    });
  });
});
