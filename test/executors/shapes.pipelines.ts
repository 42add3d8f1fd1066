import { pipeline, SkipTask, TRIGGER_RULES } from "weftline";
import { params, pause } from "./task-helpers.js";

const QUICK = { attempts: 3, delay: 1, backoff: "fixed" } as const;
const fails = (): never => {
  throw new Error("broken");
};

export const diamond = pipeline("diamond", (p) => {
  const a = p.task("a", () => [1]);
  const b = p.task("b", { needs: { a } }, ({ input }) => [...input.a, 2]);
  const c = p.task("c", { needs: { a } }, ({ input }) => [...input.a, 3]);
  const d = p.task("d", { needs: { b, c } }, ({ input }) => [...input.b, ...input.c]);
  return { d };
});

/** Every rule after every mixture of ends. */
export const rules = pipeline("rules", (p) => {
  const ok = p.task("ok", () => 1);
  const bad = p.task("bad", { allowFailure: true }, fails);
  const skip = p.task("skip", () => {
    throw new SkipTask();
  });
  const mixtures = {
    ok: [ok],
    bad: [bad],
    skip: [skip],
    "ok-bad": [ok, bad],
    "ok-skip": [ok, skip],
    "bad-skip": [bad, skip],
  };
  for (const [mixture, after] of Object.entries({ ...mixtures, all: [ok, bad, skip] })) {
    for (const triggerRule of TRIGGER_RULES) p.task(`${mixture}-${triggerRule}`, { after, triggerRule }, () => 1);
  }
});

export const missing = pipeline("missing", (p) => {
  const ok = p.task("ok", () => undefined);
  const bad = p.task("bad", { allowFailure: true }, fails);
  const seen = p.task("seen", { needs: { ok, bad }, triggerRule: "all-done" }, ({ input }) => [
    Object.keys(input),
    input.ok,
    input.bad,
  ]);
  return { seen };
});

export const ordered = pipeline("ordered", (p) => {
  const first = p.task("first", () => pause(20));
  const second = p.task("second", () => Date.now());
  p.order(first, second);
});

export const mapping = pipeline("mapping", (p) => {
  const list = p.task("list", () => ["a", "b", "c"]);
  const each = p.map("each", { over: list, needs: { list } }, ({ item, index, input }) => [
    item,
    index,
    input.list.length,
  ]);
  const again = p.map("again", { over: each }, ({ item }) => item[0]);
  const fixed = p.map("fixed", { over: [1, 2] }, ({ item }) => item * 2);
  const joined = p.task("joined", { needs: { again, fixed } }, ({ input }) => [input.again.join(""), input.fixed]);
  return { each, joined };
});

export const wide = pipeline("wide", (p) => {
  const list = p.task("list", () => Array.from({ length: 200 }, (_, n) => n));
  const each = p.map("each", { over: list }, async ({ item, metric }) => {
    if (item % 7 === 0) await Promise.resolve();
    metric("square", item * item);
    return item * item;
  });
  const sum = p.task("sum", { needs: { each } }, ({ input }) => input.each.reduce((a, b) => a + b, 0));
  return { sum };
});

export const emptyMap = pipeline("empty-map", (p) => {
  const list = p.task("list", () => [] as number[]);
  const each = p.map("each", { over: list }, ({ item }) => item);
  p.task("next", { needs: { each } }, () => 1);
  const tidy = p.task("tidy", { after: [each], triggerRule: "none-failed" }, () => "tidied");
  return { tidy };
});

export const mixedItems = pipeline("mixed-items", (p) => {
  const each = p.map("each", { over: [0, 1, 2, 3, 4], retry: QUICK, allowFailure: true }, ({ item, attempt }) => {
    if (item === 1) throw new Error("for good");
    if (item === 2 && attempt < 3) throw new Error("for now");
    if (item === 3) throw new SkipTask("nothing there");
    return `${item}/${attempt}`;
  });
  const seen = p.task("seen", { needs: { each }, triggerRule: "all-done" }, ({ input }) => [input.each]);
  return { seen };
});

export const notAList = pipeline("not-a-list", (p) => {
  const list = p.task("list", () => ({ length: 3 }) as unknown as number[]);
  p.map("each", { over: list }, () => 1);
  const long = p.task("long", () => [1, 2, 3]);
  p.map("few", { over: long, maxItems: 2 }, () => 1);
});

export const nested = pipeline("nested", (p) => {
  const lists = p.task("lists", () => [[1, 2], [], [3]]);
  const rows = p.group("row", { over: lists }, (g) => {
    const list = g.task("list", ({ item }) => item);
    const cell = g.map("cell", { over: list }, ({ item, index, outer }) => [item, index, outer.length]);
    const size = g.task("size", { needs: { cell }, triggerRule: "all-done" }, ({ input, index }) => [
      index,
      input.cell?.length,
    ]);
    return { size };
  });
  const all = p.task("all", { needs: { rows } }, ({ input }) => input.rows);
  return { all };
});

export const grouped = pipeline("grouped", (p) => {
  const seed = p.task("seed", () => 2);
  const both = p.group("both", (g) => {
    const one = g.task("one", { needs: { seed } }, ({ input }) => input.seed * 10);
    const inner = g.group("inner", (h) => {
      const two = h.task("two", { needs: { one } }, ({ input, task }) => `${task.id} ${input.one}`);
      return { two };
    });
    return { one, inner };
  });
  const seen = p.task("seen", { needs: { both, one: both.outputs.one } }, ({ input }) => [input.both, input.one]);
  return { seen };
});

export const regrouping = pipeline("regrouping", (p) => {
  const pass = p.group("pass", { retry: QUICK }, (g) => {
    const open = g.task("open", ({ log, idempotencyKey }) => {
      log("opens");
      return idempotencyKey;
    });
    const work = g.task("work", { needs: { open } }, ({ input, log }) => {
      log("works");
      // Each pass is a generation of its own, and with it what its tasks call themselves.
      if (!input.open.endsWith("3")) throw new Error(`broken for ${input.open.split("/").at(-1)}`);
      return "done";
    });
    return { work };
  });
  p.task("after", { needs: { pass } }, ({ input }) => input.pass);
});

export const passes = pipeline("passes", (p) => {
  const pass = p.group("pass", { retry: { attempts: 2, delay: 1 } }, (g) => {
    const open = g.task("open", () => "open");
    const beside = g.task("beside", async ({ signal }) => {
      for (let n = 0; n < 100 && !signal.aborted; n++) await pause(5);
      signal.throwIfAborted();
    });
    g.task("fails", { needs: { open } }, fails);
    return { beside };
  });
  p.task("after", { needs: { pass } }, () => 1);
});

export const mappedGroups = pipeline("mapped-groups", (p) => {
  const region = p.group("region", { over: ["north", "south", "east"] }, (g) => {
    const load = g.task("load", ({ item, index }) => `${item}${index}`);
    const check = g.task("check", { needs: { load }, retry: QUICK }, ({ input, item, attempt }) => {
      if (item === "south" && attempt < 2) throw new Error("again");
      return `${input.load} ${attempt}`;
    });
    return { check };
  });
  const seen = p.task("seen", { needs: { region } }, ({ input }) => input.region);
  return { seen };
});

export const brokenRegion = pipeline("broken-region", (p) => {
  const region = p.group("region", { over: ["north", "south"], allowFailure: true }, (g) => {
    const load = g.task("load", ({ item }) => (item === "south" ? fails() : item));
    g.task("next", { needs: { load } }, () => 1);
    return { load };
  });
  p.task("after", { after: [region], triggerRule: "all-done" }, () => 1);
});

export const branching = pipeline("branching", { params: params<{ choice: string }>() }, (p) => {
  const gate = p.branch("gate", {}, ({ params }) => params.choice as "left" | "right");
  const left = p.task("left", { after: [gate.when("left")] }, () => "went left");
  const right = p.task("right", { after: [gate.when("right")] }, () => "went right");
  p.task("further", { needs: { left } }, ({ input }) => input.left);
  const join = p.task("join", { needs: { left, right }, triggerRule: "none-failed-min-one-success" }, ({ input }) => [
    input.left,
    input.right,
  ]);
  return { join };
});

export const checking = pipeline("checking", (p) => {
  const rows = p.task("rows", () => 3);
  const needs = { rows };
  p.check("plain", { needs }, ({ input }) => input.rows === 3);
  p.check("worded", { needs }, ({ input }) => ({ passed: true, message: "enough rows", value: input.rows }));
  p.check("soft", { needs, severity: "warning" }, () => ({ passed: false, message: "few rows", value: { rows: 3 } }));
  p.check("hard", { needs, allowFailure: true }, () => false);
  p.check("broken", { needs, allowFailure: true }, fails);
  p.check("nonsense", { needs, allowFailure: true }, () => "yes" as never);
});

export const expecting = pipeline("expecting", (p) => {
  const expect = { rows: { min: 10 }, "output.score": { max: 1 }, "output.list.length": { min: 1, max: 2 } };
  const measure =
    (rows: number, score: number, list: readonly number[]) =>
    (context: { metric(name: string, value: number): void }) => {
      context.metric("rows", rows);
      return { score, list };
    };
  p.task("good", { expect }, measure(10, 1, [1]));
  p.task("few", { expect, allowFailure: true }, measure(9, 1, [1]));
  p.task("high", { expect, allowFailure: true }, measure(10, 1.5, [1]));
  p.task("long", { expect, allowFailure: true }, measure(10, 0, [1, 2, 3]));
  p.task("silent", { expect, allowFailure: true }, () => ({ score: 0, list: [1] }));
  p.task("warned", { expect: { rows: { min: 10, severity: "warning" } } }, measure(0, 0, []));
});

export const conditional = pipeline("conditional", (p) => {
  const n = p.task("n", () => 2);
  p.task("yes", { needs: { n }, when: ({ input }) => input.n === 2 }, () => 1);
  const no = p.task("no", { needs: { n }, when: async ({ input }) => input.n === 3 }, () => 1);
  p.task("after-no", { needs: { no } }, () => 1);
  p.task("broken", { allowFailure: true, when: fails }, () => 1);
  p.map("odd", { over: [1, 2, 3], when: ({ item }) => item % 2 === 1 }, ({ item }) => item);
});

export const caching = pipeline("caching", { params: params<{ key: unknown; fails?: boolean }>() }, (p) => {
  const made = p.task("made", { cache: { key: ({ params }) => params.key, ttl: "1h" } }, ({ params, log, run }) => {
    log("works");
    if (params.fails) fails();
    return { key: params.key, by: run.id.length > 0 };
  });
  const nothing = p.task("nothing", { cache: { key: ({ params }) => params.key, ttl: "1h" } }, ({ log }) => {
    log("works");
  });
  return { made, nothing };
});

export const briefCache = pipeline("brief-cache", (p) => {
  p.task("brief", { cache: { key: () => "same", ttl: 5 } }, ({ log }) => log("works"));
});

export const brokenCache = pipeline("broken-cache", (p) => {
  p.task("throws", { allowFailure: true, cache: { key: fails, ttl: "1h" } }, () => 1);
  p.task("unstorable", { allowFailure: true, cache: { key: () => () => 1, ttl: "1h" } }, () => 1);
});

const child = pipeline("child", { params: params<{ n: number }>() }, (p) => {
  const square = p.task("square", ({ params, run }) => {
    if (params.n < 0) throw new RangeError(`no root of ${params.n}`);
    return { square: params.n ** 2, pipeline: run.pipeline };
  });
  return { square };
});
export const parent = pipeline("parent", { params: params<{ n: number }>() }, (p) => {
  const n = p.task("n", ({ params }) => params.n);
  const sub = p.run("sub", child, { needs: { n }, params: ({ input }) => ({ n: input.n }) });
  const seen = p.task("seen", { needs: { sub } }, ({ input }) => input.sub.square);
  return { seen };
});
export const grandparent = pipeline("grandparent", (p) => {
  const each = p.group("each", { over: [2, 3] }, (g) => {
    const sub = g.run("sub", parent, { params: ({ item }) => ({ n: item }) });
    return { sub };
  });
  const retried = p.run("retried", child, {
    allowFailure: true,
    retry: { attempts: 2, delay: 1 },
    params: ({ attempt }) => ({ n: -attempt }),
  });
  const seen = p.task(
    "seen",
    { needs: { each }, after: [retried], triggerRule: "all-done" },
    ({ input }) => input.each,
  );
  return { seen };
});

export const producing = pipeline("producing", (p) => {
  const made = p.task("made", { produces: ["table", "model"] }, () => 1);
  p.map("each", { over: [1, 2], after: [made], produces: "part" }, ({ item }) => (item === 2 ? fails() : item));
});
