import { type Engine, pipeline, RunCancelledError, RunFailedError } from "weftline";

const single = pipeline("single", (p) => ({ one: p.task("one", () => 1) }));
const fan = pipeline("fan", (p) => {
  const list = p.task("list", () => [1, 2, 3]);
  const each = p.map("each", { over: list, concurrency: 2 }, ({ item }) => item * 2);
  return { sum: p.task("sum", { needs: { each } }, ({ input }) => input.each.reduce((a, b) => a + b, 0)) };
});
const retried = pipeline("retried", { defaults: { retry: { attempts: 2, delay: 1 }, timeout: "1m" } }, (p) => ({
  flaky: p.task("flaky", ({ attempt, signal }) => {
    signal.addEventListener("abort", () => {});
    if (attempt === 1) throw new Error("the first attempt fails");
    return attempt;
  }),
}));
const stepped = pipeline("stepped", (p) => ({
  steps: p.task("steps", async ({ step, log, metric, progress }) => {
    log.info("begun");
    metric("size", 1);
    progress(0.5);
    return (await step("a", () => 1)) + (await step("b", () => 2));
  }),
}));
const branched = pipeline("branched", (p) => {
  const gate = p.branch("gate", {}, (): "left" | "right" => "left");
  p.task("left", { after: [gate.when("left")] }, () => "l");
  p.task("right", { after: [gate.when("right")] }, () => "r");
});
const cached = pipeline("cached", (p) => ({
  dear: p.task("dear", { cache: { key: ({ run }) => run.id, ttl: 1 } }, () => "x".repeat(100)),
}));
const waits = pipeline("waits", (p) => {
  const nap = p.sleep("nap", "1ms");
  return { answer: p.signal("answer", { after: [nap] }) };
});
const stuck = pipeline("stuck", (p) => {
  p.task(
    "stuck",
    ({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  );
});
const failing = pipeline("failing", (p) => {
  p.task("fails", () => {
    throw new TypeError("always", { cause: new Error("deep") });
  });
});
const parent = pipeline("parent", (p) => ({ child: p.run("child", single) }));
const grouped = pipeline("grouped", (p) => {
  p.group("group", { retry: { attempts: 2, delay: 0 } }, (g) => {
    const a = g.task("a", () => 1);
    return { b: g.task("b", { needs: { a } }, ({ input }) => input.a) };
  });
});

export const PIPELINES = [
  ...[single, fan, retried, stepped, branched, cached, waits, stuck, failing, parent, grouped],
] as const;

/** What a user may do with a run, one kind after the other, each from the trigger to the end of the run. */
const KINDS: readonly ((engine: Engine, n: number) => Promise<unknown>)[] = [
  async (engine, n) => (await engine.trigger(single, {}, { key: `soak-${n}`, tags: ["soak"] })).result(),
  async (engine) => (await engine.trigger(fan)).result(),
  async (engine) => (await engine.trigger(retried)).result(),
  async (engine) => (await engine.trigger(stepped)).result(),
  async (engine) => (await engine.trigger(branched)).result(),
  async (engine) => (await engine.trigger(cached)).result(),
  async (engine) => {
    const run = await engine.trigger(waits);
    await run.signal("answer", "yes");
    return run.result();
  },
  async (engine) => {
    const run = await engine.trigger(stuck);
    await run.cancel({ reason: "soak" });
    return endsWith(RunCancelledError, run.result());
  },
  async (engine) => {
    const run = await engine.trigger(failing);
    return endsWith(RunFailedError, run.result());
  },
  async (engine) => (await engine.trigger(parent)).result(),
  async (engine) => (await engine.trigger(grouped, {}, { priority: 1 })).result(),
  async (engine) => {
    const run = await engine.trigger(single);
    const events = run.events();
    const listening = (async () => {
      for await (const _ of events);
    })();
    await Promise.all([run.result(), listening]);
  },
  async (engine) => {
    const off = engine.on("run:finished", () => {});
    try {
      const run = await engine.trigger(single);
      await Promise.all([run.result(), run.result(), run.status()]);
      await engine.runs.explain(run.id, "one");
    } finally {
      off();
    }
  },
];

/** Runs made by one call of {@link oneRun}, on average: a parent has a child. */
export const RUNS_PER_CALL = (KINDS.length + 1) / KINDS.length;

/** Takes the `n`-th run from its trigger to its end. */
export function oneRun(engine: Engine, n: number): Promise<unknown> {
  return KINDS[n % KINDS.length]!(engine, n);
}

async function endsWith(kind: abstract new (...args: never) => Error, result: Promise<unknown>): Promise<void> {
  const error = await result.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(error instanceof kind)) throw new Error("a run did not end as it should", { cause: error });
}
