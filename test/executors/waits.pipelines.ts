import { appendFileSync, readFileSync } from "node:fs";
import { pipeline } from "weftline";
import { aborted, params, pause } from "./task-helpers.js";

const fails = (): never => {
  throw new Error("broken");
};

export const sleeping = pipeline("sleeping", { params: params<{ ms: number }>() }, (p) => {
  const before = p.task("before", () => Date.now());
  const fixed = p.sleep("fixed", { for: "30ms", after: [before] });
  const computed = p.sleep("computed", {
    needs: { before },
    after: [fixed],
    for: ({ params, input }) => (input.before > 0 ? params.ms : fails()),
  });
  const until = p.sleepUntil("until", {
    needs: { before },
    after: [computed],
    at: ({ input }) => new Date(input.before),
  });
  const after = p.task("after", { needs: { before }, after: [until] }, ({ input }) => Date.now() - input.before);
  return { after };
});

export const badSleep = pipeline("bad-sleep", (p) => {
  p.sleep("throws", { for: fails, allowFailure: true });
  p.sleep("nonsense", { for: () => "soon" as never, allowFailure: true });
  p.sleepUntil("nowhen", { at: () => new Date(Number.NaN), allowFailure: true });
});

export const polling = pipeline("polling", { params: params<{ looks: string }>() }, (p) => {
  const start = p.task("start", () => Date.now());
  const found = p.poll("found", { every: 15, needs: { start } }, ({ input, params, log }) => {
    log("looks");
    appendFileSync(params.looks, "x");
    // "Not yet" in each of its two ways.
    const looks = readFileSync(params.looks, "utf8").length;
    if (looks < 3) return looks === 1 ? false : undefined;
    return { since: input.start > 0 };
  });
  const falsy = p.map("falsy", { over: [0] }, () => 0);
  const zero = p.poll("zero", { every: 5, needs: { falsy } }, ({ input }) => input.falsy[0]);
  const nothing = p.poll("null", { every: 5 }, () => null);
  return { found, zero, nothing };
});

export const inVain = pipeline("in-vain", (p) => {
  const look = p.poll("look", { every: 10, timeout: 60, allowFailure: true }, () => false);
  p.task("after", { after: [look], triggerRule: "one-failed" }, () => 1);
});

export const shakyPoll = pipeline("shaky-poll", (p) => {
  const look = p.poll("look", { every: 5, retry: { attempts: 3, delay: 1 } }, ({ attempt }) => {
    if (attempt < 3) throw new Error(`no connection ${attempt}`);
    return "there";
  });
  const hangs = p.poll(
    "hangs",
    { every: 5, timeout: { attempt: 200 }, retry: { attempts: 2, delay: 1 } },
    ({ attempt, signal }) => (attempt === 1 ? aborted(signal) : "there"),
  );
  return { look, hangs };
});

export const approving = pipeline("approving", (p) => {
  const ask = p.task("ask", ({ log }) => log("asks"));
  const approval = p.signal("approval", { schema: params<{ by: string; at: Date }>(), after: [ask] });
  const seen = p.task("seen", { needs: { approval } }, ({ input }) => [input.approval.by, input.approval.at]);
  return { seen };
});

export const keyed = pipeline("keyed", { params: params<{ order: string }>() }, (p) => {
  const paid = p.signal("paid", { key: ({ params }) => `paid/${params.order}` });
  const seen = p.task("seen", { needs: { paid } }, ({ input }) => input.paid);
  return { seen };
});

export const unanswered = pipeline("unanswered", (p) => {
  const answer = p.signal("answer", { timeout: 40, allowFailure: true });
  const after = p.task("after", { needs: { answer }, triggerRule: "all-done" }, ({ input }) => [input.answer]);
  return { after };
});

export const holdingNothing = pipeline("holding-nothing", { params: params<{ key: string }>() }, (p) => {
  p.signal("go", { key: ({ params }) => params.key });
  p.poll("look", { every: 20, timeout: "1m" }, ({ run }) => run.tags.includes("never"));
  const work = p.map("work", { over: [0, 1, 2], concurrency: 3 }, async () => {
    const from = Date.now();
    await pause(30);
    return { from, to: Date.now() };
  });
  return { work };
});
