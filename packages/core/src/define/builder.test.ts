import { describe, expect, it } from "vitest";
import { WeftlineError } from "../errors.js";
import { decode } from "../values/codec.js";
import type { Builder } from "./builder.js";
import type { TaskDefinition } from "./definition.js";
import type { Node } from "./handles.js";
import { pipeline } from "./pipeline.js";
import type { Plan } from "./plan.js";
import { TRIGGER_RULES } from "./trigger-rules.js";

/** The builder as code without types sees it. */
interface Untyped {
  task(id: unknown, ...rest: unknown[]): Node<unknown> & { when(choice: unknown): unknown };
  map(id: unknown, ...rest: unknown[]): Node<unknown>;
  branch(id: unknown, ...rest: unknown[]): Node<unknown> & { when(choice?: unknown): unknown };
  order(...args: unknown[]): void;
}

const run = () => 1;

function planOf(build: (p: Untyped) => void, defaults: object = {}): Plan {
  return pipeline("nightly", { defaults }, (p) => build(p as unknown as Untyped)).plan;
}

function tasksOf(build: (p: Untyped) => void, defaults: object = {}): readonly TaskDefinition[] {
  return planOf(build, defaults).tasks;
}

function refusal(build: (p: Untyped) => void): WeftlineError {
  try {
    tasksOf(build);
  } catch (error) {
    if (error instanceof WeftlineError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

function foreignNode(): Node<unknown> {
  let node: Node<unknown> | undefined;
  pipeline("other", (p) => {
    node = p.task("theirs", run);
  });
  return node!;
}

const REMEDY = "Pass the handle that p.task(), p.map() or another method of this build function returned.";

describe("task(), map() and branch()", () => {
  it("fill in what is left out", () => {
    const plan = planOf((p) => void p.task("a", run));
    const policy = {
      triggerRule: "all-success",
      when: undefined,
      retry: {
        ...{ attempts: 1, delayMs: 1_000, backoff: "exponential", maxDelayMs: 600_000, jitter: "full" },
        ...{ when: undefined, whileAbandoned: false },
      },
      timeouts: { attemptMs: undefined, totalMs: undefined },
      allowFailure: false,
      executor: "default",
      ...{ pool: undefined, slots: 1, priority: 0 },
      ...{ concurrency: undefined, keyed: undefined, rateLimit: undefined },
      ...{ cache: undefined, expect: undefined, produces: [] },
      ...{ teardown: false, failRun: false },
      maxItems: 100_000,
      title: undefined,
      description: undefined,
      tags: [],
    };
    expect({ ...plan.tasks[0]! }).toStrictEqual({
      id: "a",
      position: 0,
      kind: "task",
      policy,
      extra: { after: [] },
      run,
    });
    const { retry, timeouts, executor, title } = policy;
    expect([plan.tasks[0]!.after, plan.tasks[0]!.over, plan.needsOf(0)]).toEqual([[], undefined, []]);
    expect(plan.tasks[0]).toMatchObject({ retry, timeouts, executor, title, isMapped: false });
  });

  it("take the pipeline's defaults, and their own options before those", () => {
    const defaults = { retry: { attempts: 5 }, timeout: { attempt: "1m", total: "1h" }, executor: "cpu" };
    const [a, b] = tasksOf((p) => {
      p.task("a", run);
      p.task("b", { retry: { attempts: 2 }, timeout: "5m", executor: "gpu" }, run);
    }, defaults);
    expect(a).toMatchObject({
      retry: { attempts: 5 },
      timeouts: { attemptMs: 60_000, totalMs: 3_600_000 },
      executor: "cpu",
    });
    expect(b).toMatchObject({
      retry: { attempts: 2 },
      timeouts: { attemptMs: 300_000, totalMs: undefined },
      executor: "gpu",
    });
  });

  it("keep needs, order and lists apart", () => {
    const plan = planOf((p) => {
      const a = p.task("a", run);
      const gate = p.branch("gate", {}, run);
      p.map("m", { needs: { x: a, y: gate }, after: [a, gate.when("go")], over: a, maxItems: 7, concurrency: 2 }, run);
      p.map("fixed", { over: [1, undefined, new Date(5)] }, run);
      p.order(a, gate);
    });
    const { tasks } = plan;
    expect(plan.needsOf(2)).toEqual([
      { name: "x", from: 0 },
      { name: "y", from: 1 },
    ]);
    expect(tasks[2]).toMatchObject({
      kind: "map",
      extra: {
        after: [
          { from: 0, choice: undefined },
          { from: 1, choice: "go" },
        ],
        over: { from: 0 },
      },
      policy: { maxItems: 7, concurrency: 2 },
    });
    expect((tasks[3]!.over as { items: string[] }).items.map(decode)).toEqual([1, undefined, new Date(5)]);
    expect(tasks[1]).toMatchObject({ kind: "branch", extra: { after: [{ from: 0, choice: undefined }] } });
  });

  it("encode a fixed list at once: changing it afterwards changes nothing", () => {
    const list = [{ n: 1 }];
    const [task] = tasksOf((p) => void p.map("m", { over: list }, run));
    list[0]!.n = 2;
    list.push({ n: 3 });
    expect((task!.over as { items: string[] }).items.map(decode)).toEqual([{ n: 1 }]);
  });

  it("refuse a list with an item that cannot be stored, naming its place", () => {
    const error = refusal((p) => void p.map("m", { over: [1, { deep: () => 1 }] }, run));
    expect(error.code).toBe("TASK_INVALID");
    expect(error.message).toMatch(/task "m" of pipeline "nightly": over\[1\] cannot be stored\. .*deep/);
    expect(error.cause).toMatchObject({ code: "ITEM_NOT_SERIALIZABLE" });
  });

  it("F150 refuse an id that is taken", () => {
    const error = refusal((p) => {
      p.task("a", run);
      p.map("a", { over: [1] }, run);
    });
    expect(error.code).toBe("TASK_DUPLICATE");
    expect(error.message).toBe(
      'TASK_DUPLICATE: Cannot define task "a" of pipeline "nightly" twice. Give each task of a pipeline its own id.',
    );
  });

  it.each([
    ...[
      "",
      " ",
      "a b",
      "a/b",
      "a:b",
      "a%b",
      "-a",
      ".a",
      "é",
      "🚀",
      "a\u202eb",
      "a\n",
      "x".repeat(201),
      "x".repeat(300),
    ],
    ...[undefined, null, 7, {}, [], Symbol("id"), Object.create(null), ["a"]],
  ])("F82 F208 refuse %j as an id", (id) => {
    const error = refusal((p) => void p.task(id, run));
    expect(error.code).toBe("TASK_INVALID");
    expect(error.message).toMatch(/as the id of a task of pipeline "nightly"\. Use 1 to 200 letters, digits/);
    expect(error.message.length).toBeLessThan(300);
  });

  it.each([
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
    "valueOf",
    "then",
    "length",
    "0",
    "x".repeat(200),
  ])("take %s as an id and as the name of an input", (id) => {
    const defined = pipeline("nightly", (p) => {
      const odd = p.task(id, run);
      const after = p.task("after", { needs: { [id]: odd } }, run);
      return { [id]: after };
    });
    expect(defined.taskIds).toEqual([id, "after"]);
    expect(defined.plan.positions.get(id)).toBe(0);
    expect(defined.plan.needsOf(1)).toEqual([{ name: id, from: 0 }]);
    expect([...defined.settings.result]).toEqual([[id, 1]]);
    expect(defined.graph.hasEdge(id, "after")).toBe(true);
  });

  it("do not take a name every object has for a task that exists", () => {
    for (const name of ["constructor", "toString", "__proto__"]) {
      expect(tasksOf((p) => void p.task(name, run)).map(({ id }) => id)).toEqual([name]);
    }
    const { plan } = pipeline("nightly", (p) => void p.task("a", run));
    expect([plan.positions.get("constructor"), plan.positions.get("__proto__")]).toEqual([undefined, undefined]);
  });

  it.each(TRIGGER_RULES)("take the rule %s", (triggerRule) => {
    const { plan } = pipeline("nightly", (p) => void p.task("a", { triggerRule }, run));
    expect(plan.tasks[0]!.policy.triggerRule).toBe(triggerRule);
    expect(plan.rules[0]).toBe(TRIGGER_RULES.indexOf(triggerRule));
  });

  it.each(["all_success", "ALL-DONE", "", "constructor", "toString", 3, null, {}])(
    "refuse the rule %j",
    (triggerRule) => {
      const error = refusal((p) => void p.task("a", { triggerRule }, run));
      expect(error.code).toBe("TASK_INVALID");
      expect(error.message).toMatch(
        /task "a" of pipeline "nightly": unknown trigger rule .*Use one of all-success, .*, always\./,
      );
    },
  );

  it.each<[string, (p: Untyped, node: Node<unknown>) => void, string]>([
    ["no function", (p) => p.task("b"), "it has no function. Write task(id, options, function)."],
    [
      "no function after options",
      (p) => p.map("b", { over: [1] }),
      "it has no function. Write map(id, options, function).",
    ],
    [
      "a text for a function",
      (p) => p.branch("b", {}, "x"),
      "it has no function. Write branch(id, options, function).",
    ],
    ["null for options", (p) => p.task("b", null, run), "its options are null. Write task(id, options, function)."],
    [
      "a list for needs",
      (p) => p.task("b", { needs: ["a"] }, run),
      `needs.0: "a" is not a task of this pipeline. ${REMEDY}`,
    ],
    [
      "a text for needs",
      (p) => p.task("b", { needs: "a" }, run),
      'needs is "a". Give an object of task handles: { needs: { sales } }.',
    ],
    [
      "null for needs",
      (p) => p.task("b", { needs: null }, run),
      "needs is null. Give an object of task handles: { needs: { sales } }.",
    ],
    [
      "an id for a handle",
      (p) => p.task("b", { needs: { x: "a" } }, run),
      `needs.x: "a" is not a task of this pipeline. ${REMEDY}`,
    ],
    [
      "a missing handle",
      (p) => p.task("b", { needs: { x: undefined } }, run),
      `needs.x: undefined is not a task of this pipeline. ${REMEDY}`,
    ],
    [
      "a look-alike",
      (p) => p.task("b", { needs: { x: { id: "a" } } }, run),
      `needs.x: an object is not a task of this pipeline. ${REMEDY}`,
    ],
    [
      "a function for a handle",
      (p) => p.task("b", { needs: { x: run } }, run),
      `needs.x: a function is not a task of this pipeline. ${REMEDY}`,
    ],
    [
      "another pipeline's handle in needs",
      (p) => p.task("b", { needs: { x: foreignNode() } }, run),
      `needs.x: task "theirs" of another pipeline is not a task of this pipeline. ${REMEDY}`,
    ],
    [
      "another pipeline's handle in after",
      (p) => p.task("b", { after: [foreignNode()] }, run),
      `after: task "theirs" of another pipeline is not a task of this pipeline. ${REMEDY}`,
    ],
    [
      "another pipeline's handle in over",
      (p) => p.map("b", { over: foreignNode() }, run),
      `over: task "theirs" of another pipeline is not a task of this pipeline. ${REMEDY}`,
    ],
    [
      "one edge for after",
      (p, a) => p.task("b", { after: a }, run),
      "after is an object. Give a list of task handles: { after: [sales] }.",
    ],
    ["no list to map over", (p) => p.map("b", {}, run), `over: undefined is not a task of this pipeline. ${REMEDY}`],
    [
      "a text to map over",
      (p) => p.map("b", { over: "abc" }, run),
      `over: "abc" is not a task of this pipeline. ${REMEDY}`,
    ],
    [
      "a when that is no function",
      (p) => p.task("b", { when: true }, run),
      "when is not a function. Give a function of the context.",
    ],
  ])("refuse %s", (_, build, message) => {
    const error = refusal((p) => build(p, p.task("a", run)));
    expect(error.code).toBe("TASK_INVALID");
    expect(error.message).toMatch(/^TASK_INVALID: Cannot define task "b" of pipeline "nightly"[:,] /);
    expect(error.message.endsWith(message), error.message).toBe(true);
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, "5", null, {}])(
    "F210 refuse %j as concurrency and as maxItems",
    (value) => {
      for (const option of ["concurrency", "maxItems"]) {
        const error = refusal((p) => void p.map("m", { over: [1], [option]: value }, run));
        const isKeyed = option === "concurrency" && typeof value === "object" && value !== null;
        expect(error.code).toBe("TASK_INVALID");
        expect(error.message).toContain(`task "m" of pipeline "nightly": ${option}${isKeyed ? ".key is not" : " is "}`);
        expect(error.message).toMatch(
          isKeyed ? /a function to a text, and a limit from 1\.$/ : /Give a whole number from 1, or leave it out\.$/,
        );
      }
    },
  );

  it.each([undefined, 0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, "5", null, {}])(
    "F210 refuse %j as the limit of a keyed concurrency",
    (limit) => {
      const error = refusal((p) => void p.task("a", { concurrency: { key: () => "k", limit } }, run));
      expect(error.code).toBe("TASK_INVALID");
      expect(error.message).toContain(`task "a" of pipeline "nightly": concurrency.limit is `);
      expect(error.message).toMatch(/Give a whole number from 1\.$/);
    },
  );

  it.each([-1, Number.NaN, "10 m", "1w", Number.POSITIVE_INFINITY, 1e99, "", null, true])(
    "refuse the duration %j everywhere",
    (bad) => {
      const options: readonly [string, object][] = [
        ["timeout of", { timeout: bad }],
        ["timeout.attempt of", { timeout: { attempt: bad } }],
        ["timeout.total of", { timeout: { total: bad } }],
        ["retry.delay of", { retry: { attempts: 2, delay: bad } }],
        ["retry.maxDelay of", { retry: { attempts: 2, maxDelay: bad } }],
      ];
      for (const [where, option] of options) {
        const error = refusal((p) => void p.task("a", option, run));
        expect(error.code).toBe("DURATION_INVALID");
        expect(error.message).toContain(`${where} task "a" of pipeline "nightly" as a duration: `);
        expect(error.message).toContain("Write milliseconds or a text such as");
      }
    },
  );

  it.each([0, "0s", "0ms"])("refuse the timeout %j", (timeout) => {
    for (const option of [{ timeout }, { timeout: { attempt: timeout } }, { timeout: { total: timeout } }]) {
      const error = refusal((p) => void p.task("a", option, run));
      expect(error.code).toBe("DURATION_INVALID");
      expect(error.message).toMatch(
        /task "a" of pipeline "nightly": nothing could ever finish\. Leave it out for no limit\./,
      );
    }
  });

  it.each<[string, unknown, RegExp]>([
    ["no attempts", {}, /attempts is undefined\. Give the number of attempts in all, 1 to 10,000/],
    ["zero attempts", { attempts: 0 }, /attempts is 0\. Give/],
    ["a fraction of an attempt", { attempts: 1.5 }, /attempts is 1\.5\. Give/],
    ["NaN attempts", { attempts: Number.NaN }, /attempts is NaN\. Give/],
    ["endless attempts", { attempts: Number.POSITIVE_INFINITY }, /attempts is Infinity\. Give/],
    ["too many attempts", { attempts: 10_001 }, /attempts is 10001\. Give/],
    ["a text for attempts", { attempts: "3" }, /attempts is "3"\. Give/],
    [
      "an unknown backoff",
      { attempts: 2, backoff: "cubic" },
      /backoff is "cubic"\. Use "fixed", "linear" or "exponential"/,
    ],
    ["an unknown jitter", { attempts: 2, jitter: true }, /jitter is true\. Use "full" or "none"/],
    [
      "a when that is no function",
      { attempts: 2, when: /x/ },
      /when is not a function\. Give a function from the error/,
    ],
    [
      "a maxDelay below the delay",
      { attempts: 2, delay: "1m", maxDelay: "1s" },
      /maxDelay is shorter than delay\. Raise/,
    ],
    ["a number", 3, /it is 3\. Give an object such as \{ attempts: 3 \}/],
    ["null", null, /it is null\. Give an object/],
  ])("refuse %s as a retry policy", (_, retry, message) => {
    const error = refusal((p) => void p.task("a", { retry }, run));
    expect(error.code).toBe("RETRY_INVALID");
    expect(error.message).toMatch(/Cannot use the retry policy of task "a" of pipeline "nightly": /);
    expect(error.message).toMatch(message);
  });

  it.each<[string, object, object]>([
    ["exponential with jitter", { attempts: 3 }, { delayMs: 1_000, backoff: "exponential", jitter: "full" }],
    ["fixed without jitter", { attempts: 3, backoff: "fixed" }, { jitter: "none" }],
    ["linear with jitter when asked for", { attempts: 3, backoff: "linear", jitter: "full" }, { jitter: "full" }],
    [
      "as long as the delay that was asked for",
      { attempts: 3, delay: "1h" },
      { delayMs: 3_600_000, maxDelayMs: 3_600_000 },
    ],
    ["as short as the limit that was asked for", { attempts: 3, maxDelay: 50 }, { delayMs: 50, maxDelayMs: 50 }],
    ["without any delay", { attempts: 3, delay: 0 }, { delayMs: 0, maxDelayMs: 600_000 }],
    ["10,000 times", { attempts: 10_000 }, { attempts: 10_000 }],
  ])("retry %s", (_, retry, policy) => {
    const [task] = tasksOf((p) => void p.task("a", { retry }, run));
    expect(task!.retry).toMatchObject(policy);
  });
});

describe("when()", () => {
  it("is asked of branches alone", () => {
    const error = refusal((p) => {
      const a = p.task("a", run);
      p.task("b", { after: [a.when("x")] }, run);
    });
    expect(error.code).toBe("TASK_INVALID");
    expect(error.message).toMatch(
      /task "b" of pipeline "nightly", after: when\("x"\) was asked of "a", which is no branch\. Only/,
    );
  });

  it.each([undefined, null, 1, ["x"], {}])("refuses the choice %j", (choice) => {
    const error = refusal((p) => {
      const gate = p.branch("gate", {}, run);
      p.task("b", { after: [gate.when(choice)] }, run);
    });
    expect(error.code).toBe("TASK_INVALID");
    expect(error.message).toMatch(
      /task "b" of pipeline "nightly", after: when\(.*\) names no path\. Give one of the texts/,
    );
  });

  it("takes any text as a choice", () => {
    const choices = ["", "__proto__", "a b", "🚀"];
    const tasks = tasksOf((p) => {
      const gate = p.branch("gate", {}, run);
      p.task("b", { after: choices.map((choice) => gate.when(choice)) }, run);
    });
    expect(tasks[1]!.after.map(({ choice }) => choice)).toEqual(choices);
  });
});

describe("order()", () => {
  it.each<[string, (p: Untyped, a: Node<unknown>, b: Node<unknown>) => void, string]>([
    ["a -> a", (p, a) => p.order(a, a), "a -> a"],
    ["two tasks", (p, a, b) => p.order(b, a), "a -> b -> a"],
    [
      "a chain",
      (p, a, b) => {
        const c = p.task("c", { after: [b] }, run);
        const d = p.map("d", { over: c }, run);
        p.order(d, a);
      },
      "a -> b -> c -> d -> a",
    ],
    [
      "a cycle with tasks before and behind it",
      (p, _, b) => {
        const c = p.task("c", { needs: { b } }, run);
        const d = p.task("d", { needs: { c } }, run);
        p.task("e", { needs: { d } }, run);
        p.order(d, c);
      },
      "c -> d -> c",
    ],
    [
      "a cycle behind dead ends that were defined before it",
      (p, a) => {
        const ends = [1, 2, 3].map((n) => p.task(`end${n}`, run));
        const c = p.task("c", { needs: { a } }, run);
        const d = p.branch("d", { needs: { c } }, run);
        for (const end of ends) p.order(d, end);
        p.order(ends[0], ends[1]);
        p.order(d.when("x"), c);
      },
      "d -> c -> d",
    ],
  ])("F150 refuses to close a cycle, showing its path: %s", (_, build, path) => {
    const error = refusal((p) => {
      const a = p.task("a", run);
      build(p, a, p.task("b", { needs: { a } }, run));
    });
    expect(error.code).toBe("DAG_CYCLE");
    expect(error.message).toBe(
      `DAG_CYCLE: Cannot define pipeline "nightly" as its tasks wait for each other: ${path}. Remove one of these edges, most likely an order() that points backwards.`,
    );
  });

  it("may point backwards where that closes no cycle", () => {
    const { plan } = pipeline("nightly", (p) => {
      const a = p.task("a", run);
      const b = p.task("b", run);
      p.order(b, a);
    });
    expect([...plan.rank]).toEqual([1, 0]);
  });

  it("F150 adds no second edge where there is one", () => {
    const { plan } = pipeline("nightly", (p) => {
      const a = p.task("a", run);
      const b = p.task("b", { needs: { x: a, y: a }, after: [a, a] }, run);
      p.order(a, b);
      p.order(a, b);
    });
    expect([...plan.inDegree]).toEqual([0, 1]);
    expect([...plan.successors]).toEqual([1]);
  });

  it.each<[string, (p: Untyped, a: Node<unknown>) => void, RegExp]>([
    ["an id", (p, a) => p.order("b", a), /order\(before, task "a"\) of pipeline "nightly": "b" is not a task/],
    [
      "another pipeline's task",
      (p, a) => p.order(foreignNode(), a),
      /"a"\) of pipeline "nightly": task "theirs" of another/,
    ],
    ["nothing", (p, a) => p.order(a), /order\(before, after\) of pipeline "nightly", after: undefined is not a task/],
    [
      "a choice as its end",
      (p, a) => p.order(a, p.branch("g", {}, run).when("x")),
      /"nightly", after: an object is not a task/,
    ],
  ])("refuses %s", (_, build, message) => {
    const error = refusal((p) => build(p, p.task("a", run)));
    expect(error.code).toBe("TASK_INVALID");
    expect(error.message).toMatch(message);
    expect(error.message).toContain(REMEDY);
  });
});

describe("a builder whose call was refused", () => {
  it("has not added that task", () => {
    const { taskIds } = pipeline("nightly", (p: Builder<Record<never, never>>) => {
      expect(() => p.task("a", { timeout: 0 }, run)).toThrow(/DURATION_INVALID/);
      p.task("a", run);
    });
    expect(taskIds).toEqual(["a"]);
  });

  it("has kept nothing of what that task needs", () => {
    const plan = planOf((p) => {
      const a = p.task("a", run);
      expect(() => p.task("b", { needs: { a, theirs: foreignNode() } }, run)).toThrow(/TASK_INVALID/);
      p.task("b", { needs: { mine: a } }, run);
    });
    expect([plan.needsOf(0), plan.needsOf(1)]).toEqual([[], [{ name: "mine", from: 0 }]]);
  });
});
