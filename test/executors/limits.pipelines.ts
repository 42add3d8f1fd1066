import { pipeline } from "weftline";
import { params, pause } from "./task-helpers.js";

/** When it ran, by the clock of the machine: that of all processes. */
async function span(ms = 40): Promise<{ readonly from: number; readonly to: number }> {
  const from = Date.now();
  await pause(ms);
  return { from, to: Date.now() };
}

const six = [0, 1, 2, 3, 4, 5];

export const unlimited = pipeline("unlimited", (p) => {
  const each = p.map("each", { over: six }, () => span());
  return { each };
});

export const limitedMap = pipeline("limited-map", (p) => {
  const each = p.map("each", { over: six, concurrency: 2 }, () => span());
  return { each };
});

export const limitedTask = pipeline("limited-task", (p) => {
  const only = p.task("only", { concurrency: 1 }, () => span(10));
  return { only };
});

export const limitedGroup = pipeline("limited-group", (p) => {
  const group = p.group("group", { concurrency: 2 }, (g) => {
    const tasks = six.map((n) => g.task(`task-${n}`, () => span()));
    return Object.fromEntries(tasks.map((task, n) => [`task-${n}`, task]));
  });
  return { group };
});

export const limitedItems = pipeline("limited-items", (p) => {
  const group = p.group("group", { over: six, concurrency: 1 }, (g) => {
    const first = g.task("first", () => span(5));
    const second = g.task("second", { after: [first] }, () => span(5));
    return { first, second };
  });
  return { group };
});

export const limitedPipeline = pipeline("limited-pipeline", { concurrency: 1 }, (p) => {
  const a = p.task("a", () => span(10));
  const b = p.task("b", () => span(10));
  return { a, b };
});

export const pooled = pipeline("pooled", (p) => {
  const small = p.map("small", { over: six, pool: "gpu" }, () => span(15));
  const large = p.map("large", { over: [0, 1], pool: "gpu", slots: 2 }, () => span(15));
  return { small, large };
});

export const prioritised = pipeline("prioritised", (p) => {
  p.task("holder", { pool: "single" }, () => pause(40));
  for (const [id, priority] of [
    ["low", -1],
    ["plain", 0],
    ["high", 5],
    ["higher", 9],
  ] as const) {
    p.task(id, { pool: "single", priority }, () => 1);
  }
});

export const rated = pipeline("rated", (p) => {
  const each = p.map("each", { over: six, rateLimit: { limit: 2, per: 120 } }, () => Date.now());
  return { each };
});

export const keyedTask = pipeline("keyed-task", { params: params<{ tenant: string }>() }, (p) => {
  const each = p.map("each", { over: [0, 1, 2], concurrency: { key: ({ params }) => params.tenant, limit: 1 } }, () =>
    span(15),
  );
  return { each };
});

export const keyedItems = pipeline("keyed-items", (p) => {
  const each = p.map(
    "each",
    { over: ["a", "b", "a", "b", "a"], concurrency: { key: ({ item }) => item, limit: 1 } },
    async ({ item }) => ({ item, ...(await span(15)) }),
  );
  const broken = p.map(
    "broken",
    {
      over: [0, 1],
      allowFailure: true,
      concurrency: {
        key: ({ item }) => {
          if (item === 1) throw new Error("no key");
          return "key";
        },
        limit: 1,
      },
    },
    ({ item }) => item,
  );
  return { each, broken };
});

export const oneRun = pipeline("one-run", { maxActiveRuns: 1 }, (p) => {
  const a = p.task("a", () => span(10));
  return { a };
});
