import { describe, expect, it } from "vitest";
import type { Builder } from "./builder.js";
import { describePipeline } from "./description.js";
import { toDot, toMermaid } from "./diagram.js";
import type { Node } from "./handles.js";
import { pipeline } from "./pipeline.js";

type P = Builder<Record<never, never>>;

const thrownBy = (build: (p: P) => void): { code?: string; message: string } => {
  try {
    pipeline("work", build);
  } catch (error) {
    return error as { code?: string; message: string };
  }
  return { message: "nothing was thrown" };
};

/** A plain group, a mapped one with a group inside, and edges into and out of each. */
const grouped = pipeline("grouped", (p) => {
  const source = p.task("source", () => [1, 2]);
  const choose = p.branch("choose", {}, () => "x" as "x" | "y");
  const prep = p.group("prep", { title: 'Prepare "it"', after: [choose.when("x")] }, (g) => {
    const a = g.task("a", { needs: { source } }, ({ input }) => input.source.length);
    return { b: g.task("b", { needs: { a } }, ({ input }) => input.a) };
  });
  const each = p.group("each", { over: source }, (g) => {
    const inner = g.group("inner", (h) => ({ c: h.task("c", { needs: { prep } }, ({ input }) => input.prep.b) }));
    return { d: g.map("d", { over: [1], needs: { c: inner.outputs.c } }, ({ input }) => input.c) };
  });
  return { end: p.task("end", { needs: { b: prep.outputs.b, d: each.outputs.d } }, ({ input }) => input) };
});

const edgesOf = (build: (p: P) => void) =>
  describePipeline(pipeline("work", build)).edges.map(
    ({ from, to, choices }) => `${from} -> ${to}${choices ? ` ${choices.join("|")}` : ""}`,
  );

describe("edges of groups", () => {
  it("into and out of a group are the group's own", () => {
    expect(describePipeline(grouped).edges.map(({ from, to }) => `${from} -> ${to}`)).toEqual([
      ...["source -> prep", "source -> each", "choose -> prep"],
      ...["prep -> each", "prep -> end", "prep.a -> prep.b", "each -> end", "each.inner -> each.d"],
    ]);
  });

  it("are between what stands in the innermost group around both, and each is one", () => {
    const edges = edgesOf((p) => {
      const x = p.task("x", () => 1);
      let inside: Node<number> | undefined;
      const outer = p.group("outer", (g) => {
        const left = g.group("left", (h) => ({
          a: h.task("a", { needs: { x } }, () => 1),
          b: h.task("b", { needs: { x } }, () => 1),
        }));
        inside = left.outputs.a;
        g.group("right", (h) => {
          h.task("c", { needs: { ...left.outputs, x } }, () => 1);
          h.task("d", { needs: left.outputs, after: [left, x] }, () => 1);
        });
        return left.outputs;
      });
      p.task("y", { needs: outer.outputs, after: [outer] }, () => 1);
      p.order(
        inside!,
        p.task("z", () => 1),
      );
    });
    expect(edges).toEqual(["x -> outer", "outer -> y", "outer -> z", "outer.left -> outer.right"]);
  });

  it("keep a branch's condition although a task inside reads the branch", () => {
    const edges = edgesOf((p) => {
      const gate = p.branch("gate", {}, () => "x" as "x" | "y");
      p.group(
        "g",
        { after: [gate.when("x")] },
        (g) => void g.task("a", { needs: { gate } }, ({ input }) => input.gate),
      );
    });
    expect(edges).toEqual(["gate -> g x"]);
  });
});

describe("F150 groups", () => {
  const cycles: [string, (p: P) => void, string][] = [
    [
      "that need each other's tasks",
      (p) => {
        const a = p.group("a", (g) => ({ x: g.task("x", () => 1), y: g.task("y", () => 1) }));
        const b = p.group("b", (g) => ({ z: g.task("z", { needs: { x: a.outputs.x } }, () => 1) }));
        p.order(b.outputs.z, a.outputs.y);
      },
      "a -> b -> a",
    ],
    [
      "by way of a task between them",
      (p) => {
        const a = p.group("a", (g) => ({ x: g.task("x", () => 1), y: g.task("y", () => 1) }));
        const t = p.task("t", { needs: { x: a.outputs.x } }, () => 1);
        p.order(t, a.outputs.y);
      },
      "a -> t -> a",
    ],
    [
      "that wait for a task of their own",
      (p) => {
        const a = p.group("a", (g) => ({ x: g.task("x", () => 1) }));
        p.order(a.outputs.x, a);
      },
      "a -> a",
    ],
    [
      "for which a task of their own waits",
      (p) => {
        const a = p.group("a", (g) => g.group("b", (h) => ({ x: h.task("x", () => 1) })).outputs);
        p.order(a, a.outputs.x);
      },
      "a -> a",
    ],
    [
      "inside a group",
      (p) => {
        p.group("o", (g) => {
          const a = g.group("a", (h) => ({ x: h.task("x", () => 1) }));
          const b = g.group("b", { after: [a] }, (h) => ({ y: h.task("y", () => 1) }));
          g.order(b.outputs.y, a.outputs.x);
        });
      },
      "o.a -> o.b -> o.a",
    ],
  ];
  it.each(cycles)("%s close a cycle, which is refused with its path", (_, build, path) => {
    const error = thrownBy(build);
    expect(error.code).toBe("DAG_CYCLE");
    expect(error.message).toContain(`wait for each other: ${path}. Remove`);
  });
});

describe("defining groups", () => {
  it("puts their ids in front of their tasks', so that the same one may be in several", () => {
    const work = pipeline("work", (p) => {
      for (const id of ["a", "b"]) p.group(id, (g) => void g.task("t", () => 1));
      p.task("t", () => 1);
    });
    expect(work.taskIds).toEqual(["a", "a.t", "b", "b.t", "t"]);
  });

  const refused: [string, (p: P) => void, string, RegExp][] = [
    [
      "without tasks",
      (p) => p.group("g", () => {}),
      "TASK_INVALID",
      /group "g" .*: it has no tasks\. Add at least one/,
    ],
    ["without a build function", (p) => p.group("g", undefined as never), "TASK_INVALID", /no build function/],
    [
      "without a build function, with options",
      (p) => p.group("g", { retry: { attempts: 2 } }, 1 as never),
      "TASK_INVALID",
      /no build function/,
    ],
    [
      "whose build function is async",
      (p) => p.group("g", (async (g: P) => void g.task("a", () => 1)) as never),
      "TASK_INVALID",
      /async/,
    ],
    [
      "that hand out what is no handle",
      (p) => p.group("g", (g) => ({ a: g.task("a", () => 1), b: 5 as never })),
      "TASK_INVALID",
      /5 is not a task/,
    ],
    [
      "that hand out no object",
      (p) => p.group("g", (g) => g.task("a", () => 1).id as never),
      "TASK_INVALID",
      /returned "g\.a"/,
    ],
    [
      "of an id that is taken",
      (p) => [p.task("g", () => 1), p.group("g", (g) => void g.task("a", () => 1))],
      "TASK_DUPLICATE",
      /"g"/,
    ],
    [
      "with a task twice",
      (p) => p.group("g", (g) => void [g.task("a", () => 1), g.task("a", () => 1)]),
      "TASK_DUPLICATE",
      /task "g\.a"/,
    ],
    [
      "whose task's full id is taken",
      (p) => [p.task("g.a", () => 1), p.group("g", (g) => void g.task("a", () => 1))],
      "TASK_DUPLICATE",
      /task "g\.a"/,
    ],
    ["of a wrong id", (p) => p.group("a b", (g) => void g.task("a", () => 1)), "TASK_INVALID", /a b/],
    [
      "whose full ids are too long",
      (p) => p.group("g".repeat(150), (g) => void g.task("t".repeat(150), () => 1)),
      "TASK_INVALID",
      /200/,
    ],
    [
      "with a concurrency of 0",
      (p) => p.group("g", { concurrency: 0 }, (g) => void g.task("a", () => 1)),
      "TASK_INVALID",
      /concurrency is 0/,
    ],
    [
      "with a retry that is none",
      (p) => p.group("g", { retry: { attempts: 0 } }, (g) => void g.task("a", () => 1)),
      "RETRY_INVALID",
      /"g"/,
    ],
    [
      "over items that cannot be stored",
      (p) => p.group("g", { over: [() => 1] }, (g) => void g.task("a", () => 1)),
      "TASK_INVALID",
      /over\[0\]/,
    ],
    [
      "whose over is no handle",
      (p) => p.group("g", { over: 5 as never }, (g) => void g.task("a", () => 1)),
      "TASK_INVALID",
      /over/,
    ],
  ];
  it.each(refused)("%s is refused", (_, build, code, message) => {
    expect(thrownBy(build)).toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it("with another scope's builder is refused, and says which to use", () => {
    let kept: P | undefined;
    const keep = (builder: P): P => {
      kept = builder;
      return builder;
    };
    const wrong: ((p: P) => void)[] = [
      (p) => p.group("g", (g) => void [g.task("a", () => 1), p.task("b", () => 1)]),
      (p) => {
        p.group("g", (g) => void keep(g).task("a", () => 1));
        kept!.task("late", () => 1);
      },
      (p) => {
        p.group("g", (g) => {
          g.group("h", (h) => void [h.task("a", () => 1), g.task("b", () => 1)]);
        });
      },
      (p) => {
        const a = p.task("a", () => 1);
        const b = p.task("b", () => 1);
        p.group("g", (g) => void [g.task("a", () => 1), p.order(a, b)]);
      },
    ];
    for (const build of wrong) {
      expect(thrownBy(build)).toMatchObject({
        code: "PIPELINE_INVALID",
        message: expect.stringContaining("Inside a group use the builder that its build function received"),
      });
    }
    pipeline("work", (p) => void p.group("g", (g) => void keep(g).task("a", () => 1)));
    expect(() => kept!.task("later", () => 1)).toThrow(/after its build function returned/);
  });

  it("does not let a path of a branch lead into a group, or out of one", () => {
    const message = expect.stringContaining("leads into or out of a group. Put it on the group as a whole");
    const into = thrownBy((p) => {
      const gate = p.branch("gate", {}, () => "x" as const);
      p.group("g", (g) => void g.task("a", { after: [gate.when("x")] }, () => 1));
    });
    expect(into).toMatchObject({ code: "TASK_INVALID", message });
    const out = thrownBy((p) => {
      const g = p.group("g", (b) => ({ gate: b.branch("gate", {}, () => "x" as const) }));
      p.task("a", { after: [(g.outputs.gate as never as { when(x: "x"): never }).when("x")] }, () => 1);
    });
    expect(out).toMatchObject({ code: "TASK_INVALID", message });
  });
});

describe("a task of a mapped group", () => {
  let inner: Node<number>;
  let list: Node<number[]>;
  const mapped = (p: P) =>
    p.group("each", { over: [1, 2] }, (g) => {
      inner = g.task("a", () => 1);
      const deep = g.group("deep", { over: [1] }, (h) => ({ b: h.task("b", () => 1) }));
      list = deep.outputs.b;
      return { a: inner };
    });
  const uses: [string, (p: P, node: Node<unknown>) => void][] = [
    ["needs", (p, node) => p.task("t", { needs: { node } }, () => 1)],
    ["after", (p, node) => p.task("t", { after: [node] }, () => 1)],
    ["over", (p, node) => p.map("t", { over: node as Node<number[]> }, () => 1)],
    [
      "order, before",
      (p, node) =>
        p.order(
          node,
          p.task("t", () => 1),
        ),
    ],
    [
      "order, after",
      (p, node) =>
        p.order(
          p.task("t", () => 1),
          node,
        ),
    ],
    ["a result", (_, node) => ({ node })],
  ];
  it.each(uses)("is refused outside, in %s, and says how to get at the list", (where, use) => {
    for (const pick of [() => inner, () => list]) {
      const error = thrownBy((p) => {
        mapped(p);
        return use(p, pick()) as never;
      });
      expect(error, where).toMatchObject({
        code: where === "a result" ? expect.any(String) : "TASK_INVALID",
        message: expect.stringMatching(
          /stands inside mapped group "each", once for each item\. Return it from the group's build function, and use the group's `outputs`/,
        ),
      });
    }
  });

  it("as a list is seen beside its group, also inside another group", () => {
    const work = pipeline("work", (p) => {
      p.group("outer", { over: [1] }, (g) => {
        const each = g.group("each", { over: [1] }, (h) => ({ a: h.task("a", () => 1) }));
        g.group("other", { over: [1] }, (h) => void h.task("b", { needs: { list: each.outputs.a } }, () => 1));
      });
    });
    expect(describePipeline(work).edges).toMatchObject([{ from: "outer.each", to: "outer.other" }]);
  });
});

describe("drawing groups", () => {
  it("in Mermaid: as frames, with edges to the frames", () => {
    expect(toMermaid(grouped)).toMatchInlineSnapshot(`
      "flowchart LR
        t0["source"]
        t1{"choose"}
        subgraph t2["Prepare #34;it#34;"]
          t3["prep.a"]
          t4["prep.b"]
        end
        subgraph t5["each × items"]
          subgraph t6["each.inner"]
            t7["each.inner.c"]
          end
          t8[["each.d"]]
        end
        t9["end"]
        t0 --> t2
        t0 --> t5
        t1 -->|"x"| t2
        t2 --> t5
        t2 --> t9
        t3 --> t4
        t5 --> t9
        t6 --> t8
      "
    `);
  });

  it("in DOT: as clusters, with edges that end at them", () => {
    expect(toDot(grouped)).toMatchInlineSnapshot(`
      "digraph "grouped" {
        rankdir=LR;
        compound=true;
        "source" [label="source", shape=box];
        "choose" [label="choose", shape=diamond];
        subgraph "cluster_2" {
          label="Prepare \\"it\\"";
          "prep.a" [label="prep.a", shape=box];
          "prep.b" [label="prep.b", shape=box];
        }
        subgraph "cluster_5" {
          label="each × items";
          subgraph "cluster_6" {
            label="each.inner";
            "each.inner.c" [label="each.inner.c", shape=box];
          }
          "each.d" [label="each.d", shape=box3d];
        }
        "end" [label="end", shape=box];
        "source" -> "prep.a" [lhead="cluster_2"];
        "source" -> "each.inner.c" [lhead="cluster_5"];
        "choose" -> "prep.a" [label="x", lhead="cluster_2"];
        "prep.a" -> "each.inner.c" [ltail="cluster_2", lhead="cluster_5"];
        "prep.a" -> "end" [ltail="cluster_2"];
        "prep.a" -> "prep.b";
        "each.inner.c" -> "end" [ltail="cluster_5"];
        "each.inner.c" -> "each.d" [ltail="cluster_6"];
      }
      "
    `);
  });

  it("keeps group inside group", () => {
    const nested = pipeline("nested", (p) => {
      const a = p.group("a", (g) => {
        const b = g.group("b", (h) => void h.group("c", (k) => void k.task("t", () => 1)));
        g.task("u", { after: [b] }, () => 1);
      });
      p.group("d", { after: [a] }, (g) => void g.task("v", () => 1));
    });
    expect(toMermaid(nested)).toMatchInlineSnapshot(`
      "flowchart LR
        subgraph t0["a"]
          subgraph t1["a.b"]
            subgraph t2["a.b.c"]
              t3["a.b.c.t"]
            end
          end
          t4["a.u"]
        end
        subgraph t5["d"]
          t6["d.v"]
        end
        t0 --> t5
        t1 --> t4
      "
    `);
    expect(toDot(nested)).toMatchInlineSnapshot(`
      "digraph "nested" {
        rankdir=LR;
        compound=true;
        subgraph "cluster_0" {
          label="a";
          subgraph "cluster_1" {
            label="a.b";
            subgraph "cluster_2" {
              label="a.b.c";
              "a.b.c.t" [label="a.b.c.t", shape=box];
            }
          }
          "a.u" [label="a.u", shape=box];
        }
        subgraph "cluster_5" {
          label="d";
          "d.v" [label="d.v", shape=box];
        }
        "a.b.c.t" -> "d.v" [ltail="cluster_0", lhead="cluster_5"];
        "a.b.c.t" -> "a.u" [ltail="cluster_1"];
      }
      "
    `);
  });
});

describe("the hash of a definition with groups", () => {
  interface Change {
    readonly id?: string;
    readonly over?: readonly number[];
    readonly output?: string;
    readonly moved?: boolean;
    readonly retry?: number;
    readonly allowFailure?: boolean;
    readonly child?: string;
  }
  const hashOf = ({
    id = "g",
    over,
    output = "a",
    moved = false,
    retry = 1,
    allowFailure = false,
    child = "c",
  }: Change = {}) =>
    pipeline("work", (p) => {
      const options = { retry: { attempts: retry }, allowFailure, ...(over && { over }) };
      p.group(id, options as object, (g) => {
        const a = g.task("a", () => 1);
        if (!moved) g.task("b", () => 1);
        return { [output]: a };
      });
      if (moved) p.task("g.b", () => 1);
      p.run(
        "r",
        pipeline(child, (q) => void q.task("t", () => 1)),
      );
    }).hash;

  const changes: [string, Change][] = [
    ["the group's id", { id: "h" }],
    ["its list", { over: [1] }],
    ["the names of its outputs", { output: "z" }],
    ["what stands inside it", { moved: true }],
    ["whether it may fail", { allowFailure: true }],
    ["which pipeline a task runs", { child: "d" }],
  ];
  it.each(changes)("changes with %s", (_, change) => {
    expect(hashOf(change)).not.toBe(hashOf());
  });

  it("stays with a group's retry", () => {
    expect(hashOf({ retry: 5 })).toBe(hashOf());
  });
});
