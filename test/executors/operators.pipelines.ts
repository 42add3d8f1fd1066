import { readFileSync, writeFileSync } from "node:fs";
import { pipeline } from "weftline";
import { aborted, params, pause } from "./task-helpers.js";

/** What the tasks of a run find in a file, which the test writes: what is wrong with the world until somebody mends it. */
interface World {
  readonly file: string;
}
const isBroken = ({ file }: World): boolean => readFileSync(file, "utf8") === "broken";

export const hanging = pipeline("hanging", (p) => {
  const first = p.task("first", () => 1);
  const hangs = p.task("hangs", { after: [first], retry: { attempts: 5, delay: 1 } }, async ({ signal, log }) => {
    log("hangs");
    return aborted(signal).catch((reason: Error & { code: string }) => {
      log(`told: ${reason.name} ${reason.code} ${signal.reason === reason}`);
      throw reason;
    });
  });
  p.task("never", { needs: { hangs } }, () => 1);
  p.task("tidy", { after: [hangs], triggerRule: "all-done" }, () => 1);
});

export const retryingForLong = pipeline("retrying-for-long", (p) => {
  p.task("task", { retry: { attempts: 2, delay: "1h", backoff: "fixed" } }, ({ log }) => {
    log("fails");
    throw new Error("down");
  });
});

export const returningLate = pipeline("returning-late", (p) => {
  p.task("task", async ({ signal, log }) => {
    log("hangs");
    await aborted(signal).catch(() => undefined);
    return "late";
  });
});

export const endless = pipeline("endless", (p) => {
  p.task("task", async ({ log }) => {
    log("spins");
    await pause(5); // what it said is on its way
    for (;;);
  });
});

export const quick = pipeline("quick", (p) => {
  const task = p.task("task", () => 1);
  return { task };
});

export const twoPaths = pipeline("two-paths", (p) => {
  const left = p.task("left", async ({ signal, log }) => {
    log("hangs");
    return aborted(signal);
  });
  p.task("left-next", { needs: { left } }, () => 1);
  const right = p.task("right", () => "right");
  const join = p.task("join", { needs: { right }, after: [left], triggerRule: "all-done" }, ({ input }) => input.right);
  return { join };
});

export const items = pipeline("items", (p) => {
  const each = p.map("each", { over: [0, 1, 2], concurrency: 3, allowFailure: true }, async ({ item, signal, log }) => {
    if (item !== 1) return item;
    log("hangs");
    return aborted(signal);
  });
  p.task("after", { after: [each], triggerRule: "all-done" }, () => 1);
});

export const pausing = pipeline("pausing", (p) => {
  const first = p.task("first", async ({ log }) => {
    log("runs");
    await pause(60);
    return 1;
  });
  const second = p.task("second", { needs: { first } }, ({ input }) => input.first + 1);
  return { second };
});

export const mending = pipeline("mending", { params: params<World>() }, (p) => {
  const before = p.task("before", ({ log }) => {
    log("before runs");
    return new Map([["rows", 2n]]);
  });
  const task = p.task(
    "task",
    { needs: { before }, retry: { attempts: 2, delay: 1 } },
    async ({ params, input, step, log, attempt }) => {
      const done = await step("once", () => {
        log("does the step");
        return input.before;
      });
      if (isBroken(params)) throw new Error(`broken in attempt ${attempt}`);
      return [done, attempt];
    },
  );
  const beside = p.map("beside", { over: [0, 1] }, ({ item, params }) => {
    if (item === 1 && isBroken(params)) throw new Error("broken item");
    return item;
  });
  const after = p.task("after", { needs: { task, beside } }, ({ input }) => [input.task, input.beside]);
  return { after };
});

const childWork = pipeline("child-work", { params: params<World>() }, (p) => {
  const good = p.task("good", ({ log }) => log("good runs"));
  p.task("bad", { after: [good] }, ({ params }) => {
    if (isBroken(params)) throw new Error("broken");
  });
});
export const mendingChild = pipeline("mending-child", { params: params<World>() }, (p) => {
  p.run("child", childWork, { params: ({ params }) => params });
});

export const counting = pipeline("counting", { params: params<{ n: number }>() }, (p) => {
  const a = p.task("a", ({ params, idempotencyKey, step, log }) =>
    step("kept", () => {
      log(`a with ${params.n}`);
      return { n: params.n, generation: idempotencyKey.split("/").at(-1) };
    }),
  );
  const b = p.task("b", { needs: { a } }, ({ input, params }) => [input.a.n, params.n]);
  const list = p.task("list", ({ params }) => Array.from({ length: params.n }, (_, n) => n));
  const each = p.map("each", { over: list }, ({ item }) => item);
  const end = p.task("end", { needs: { a, b, each }, triggerRule: "none-failed" }, ({ input }) => [
    input.a?.n,
    input.b,
    input.each,
  ]);
  return { end };
});

export const cleaning = pipeline("cleaning", { params: params<World & { hangs?: boolean }>() }, (p) => {
  const note = ({ log }: { log(message: string): void }, what: string) => log(what);
  const setup = p.task("setup", (context) => {
    note(context, "sets up");
    return "cluster";
  });
  const use = p.task("use", { needs: { setup } }, async (context) => {
    note(context, "uses");
    if (context.params.hangs) await aborted(context.signal);
    if (isBroken(context.params)) throw new Error("broken");
  });
  p.task("teardown", { needs: { setup }, after: [use], teardown: true }, (context) => {
    note(context, `takes ${context.input.setup} down`);
  });
});

function failingTeardown(id: string, failRun: boolean) {
  return pipeline(id, (p) => {
    const setup = p.task("setup", () => 1);
    const use = p.task("use", { needs: { setup } }, () => 1);
    p.task("teardown", { needs: { setup }, after: [use], teardown: { failRun } }, () => {
      throw new Error("cannot take it down");
    });
  });
}
export const harmlessTeardown = failingTeardown("harmless-teardown", false);
export const strictTeardown = failingTeardown("strict-teardown", true);

export const selfCancelling = pipeline("self-cancelling", (p) => {
  const wait = p.task("wait", ({ log, signal }) => {
    log("hangs");
    return aborted(signal);
  });
  p.task("tidy", { after: [wait], triggerRule: "always" }, () => 1);
});

/** For tests that change the world. */
export function setWorld(file: string, state: "broken" | "mended"): void {
  writeFileSync(file, state);
}
