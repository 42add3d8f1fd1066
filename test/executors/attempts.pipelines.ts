import { AsyncLocalStorage } from "node:async_hooks";
import { NonRetryableError, pipeline, RetryAfter, SkipTask } from "weftline";
import { aborted, params, pause } from "./task-helpers.js";

class Transient extends Error {}
class Fatal extends NonRetryableError {
  override readonly name = "Fatal";
}

const QUICK = { attempts: 3, delay: 1, backoff: "fixed" } as const;

export const flaky = pipeline("flaky", (p) => {
  const task = p.task("task", { retry: QUICK }, ({ attempt, log }) => {
    log(`attempt ${attempt}`);
    if (attempt < 3) throw new Error(`down ${attempt}`);
    return attempt;
  });
  return { task };
});

export const backingOff = pipeline("backing-off", (p) => {
  const fails = () => {
    throw new Error("down");
  };
  const common = { attempts: 4, delay: 60, maxDelay: 150, jitter: "none" } as const;
  p.task("fixed", { retry: { ...common, backoff: "fixed" } }, fails);
  p.task("linear", { retry: { ...common, backoff: "linear" } }, fails);
  p.task("exponential", { retry: { ...common, backoff: "exponential" } }, fails);
});

export const askingLater = pipeline("asking-later", (p) => {
  const later = (id: string, delay: string | number, asked: () => RetryAfter) =>
    p.task(id, { retry: { attempts: 2, delay: delay as number, backoff: "fixed" } }, ({ attempt }) => {
      if (attempt === 1) throw asked();
    });
  later("text", "1h", () => new RetryAfter("60ms"));
  later("number", "1h", () => new RetryAfter(120));
  later("past", "1h", () => new RetryAfter(new Date(0)));
  later("nonsense", 30, () => new RetryAfter(Number.NaN));
});

export const givingUp = pipeline("giving-up", (p) => {
  p.task("plain", { retry: QUICK }, () => {
    throw new NonRetryableError("no use");
  });
  p.task("subclass", { retry: QUICK }, () => {
    throw new Fatal("no use either");
  });
  p.task("copy", { retry: QUICK }, () => {
    throw Object.assign(new Error("of another copy"), { name: "NonRetryableError" });
  });
});

export const choosy = pipeline("choosy", (p) => {
  p.task("classes", { retry: { ...QUICK, when: (error) => error instanceof Transient } }, ({ attempt }) => {
    throw attempt === 1 ? new Transient("once") : new TypeError("for good");
  });
  const broken = (): never => {
    throw new Error("predicate broken");
  };
  p.task("broken", { retry: { ...QUICK, when: broken } }, () => {
    throw new Error("down");
  });
});

export const failing = pipeline("failing", (p) => {
  const bad = p.task("bad", { retry: { attempts: 2, delay: 1 } }, () => {
    const root = Object.assign(new Error("connection reset"), { code: "ECONNRESET" });
    const cause = new TypeError("no rows", { cause: root });
    throw Object.assign(new RangeError("cannot import 🪡", { cause }), { code: 42 });
  });
  p.task("next", { needs: { bad } }, () => 1);
  p.task("several", () => {
    throw new AggregateError([new Error("one"), new TypeError("two")], "both");
  });
});

/** Things that are thrown although they are no errors, or odd ones. */
const ODD: Readonly<Record<string, () => unknown>> = {
  text: () => "just a text",
  undefined: () => undefined,
  null: () => null,
  number: () => Number.NaN,
  bigint: () => 5n,
  symbol: () => Symbol("odd"),
  function: () => function odd() {},
  object: () => ({ message: "an object", code: "E_OBJECT" }),
  "without-prototype": () => Object.assign(Object.create(null) as object, { a: 1 }),
  frozen: () => Object.freeze(new Error("frozen")),
  getter: () =>
    Object.defineProperty(new Error("odd"), "message", {
      get: () => {
        throw new Error("no message for you");
      },
    }),
  circular: () => {
    const error = new Error("circular");
    return Object.assign(error, { cause: error });
  },
  long: () => new Error("x".repeat(100_000)),
  "half-character": () => new Error("half \ud800 of one, and \0"),
  "revoked-proxy": () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  },
};

export const odd = pipeline("odd", (p) => {
  for (const [id, thrown] of Object.entries(ODD)) {
    p.task(id, { allowFailure: true }, () => {
      throw thrown();
    });
    p.task(`${id}-later`, { allowFailure: true }, async () => {
      await Promise.resolve();
      throw thrown();
    });
  }
});

export const skipping = pipeline("skipping", (p) => {
  const fetch = p.task("fetch", { retry: QUICK }, () => {
    throw new SkipTask("nothing new");
  });
  p.task("load", { needs: { fetch } }, () => 1);
  p.task("tidy", { after: [fetch], triggerRule: "all-done" }, () => 2);
});

export const lenient = pipeline("lenient", (p) => {
  const bad = p.task("bad", { allowFailure: true }, () => {
    throw new Error("never mind");
  });
  p.task("next", { needs: { bad } }, () => 1);
  const report = p.task("report", { needs: { bad }, triggerRule: "all-done" }, ({ input }) => [input.bad]);
  return { report };
});

export const slow = pipeline("slow", (p) => {
  const once = p.task("once", { timeout: 200, retry: QUICK }, async ({ attempt, signal, log }) => {
    if (attempt > 1) return "in time";
    return aborted(signal).catch((reason: { code: string; name: string }) => {
      log(`told to stop: ${reason.name} ${reason.code}`);
      throw reason;
    });
  });
  return { once };
});

export const slowInAll = pipeline("slow-in-all", (p) => {
  const retry = { attempts: 1_000, delay: 1, backoff: "fixed" } as const;
  p.task("task", { timeout: { total: 300 }, retry }, ({ attempt, signal }) => {
    if (attempt === 1) throw new Error("again");
    return aborted(signal);
  });
});

export const late = pipeline("late", (p) => {
  const task = p.task("task", { timeout: 40 }, async ({ signal, log, step, metric }) => {
    await aborted(signal).catch(() => undefined);
    log("after the abort");
    metric("late", 1);
    await step("too-late", () => 1).catch((error: Error) => log(`no step: ${error.name}`));
    return "late";
  });
  return { task };
});

export const stubborn = pipeline("stubborn", (p) => {
  const ignores = p.task(
    "ignores",
    { timeout: 200, retry: { attempts: 2, delay: 1, whileAbandoned: true } },
    async ({ attempt }) => {
      if (attempt === 1) await pause(1_500);
      return attempt;
    },
  );
  return { ignores };
});

export const spinning = pipeline("spinning", (p) => {
  const spins = p.task("spins", { timeout: 200, retry: { attempts: 2, delay: 1 } }, ({ attempt }) => {
    while (attempt === 1);
    return attempt;
  });
  return { spins };
});

export const outOfTime = pipeline("out-of-time", { timeout: 250 }, (p) => {
  const quick = p.task("quick", () => 1);
  const hangs = p.task("hangs", { after: [quick] }, ({ signal }) => aborted(signal));
  p.task("never", { after: [hangs] }, () => 1);
});

export const failingFast = pipeline("failing-fast", { failFast: true }, (p) => {
  p.task("bad", async () => {
    await pause(30);
    throw new Error("broken");
  });
  p.task("hangs", ({ signal }) => aborted(signal));
});

export const leaves = pipeline("leaves", { failWhen: "leaves" }, (p) => {
  const bad = p.task("bad", () => {
    throw new Error("not the last word");
  });
  p.task("good", { after: [bad], triggerRule: "one-failed" }, () => "mended");
});

export const unstorable = pipeline("unstorable", (p) => {
  const bad: Readonly<Record<string, () => unknown>> = {
    function: () => ({ nested: [() => 1] }),
    symbol: () => Symbol("s"),
    promise: () => [Promise.resolve(1)],
    instance: () => ({ a: new (class Thing {})() }),
    cycle: () => {
      const cycle: Record<string, unknown> = {};
      cycle.self = cycle;
      return cycle;
    },
    deep: () => {
      let value: unknown = 1;
      for (let n = 0; n < 600; n++) value = [value];
      return value;
    },
    large: () => "x".repeat(300_000),
    getter: () => ({
      get boom(): number {
        throw new Error("boom");
      },
    }),
  };
  for (const [id, make] of Object.entries(bad)) p.task(id, { allowFailure: true, retry: QUICK }, make);
});

export const stepping = pipeline("stepping", (p) => {
  const task = p.task("task", { retry: QUICK }, async ({ step, attempt, log }) => {
    const did = (what: string) => {
      log(`does ${what} in attempt ${attempt}`);
      return what;
    };
    const rows = await step("rows", () => ({ at: new Date(5), ids: new Set([1n]), of: did("rows") }));
    const pages: string[] = [];
    for (let n = 0; n < 3; n++) pages.push(await step("page", () => did(`page ${n}`)));
    const both = await Promise.all(["a", "b"].map((id) => step(id, async () => did(id))));
    const caught = await step("bad", () => {
      did("bad");
      if (attempt < 3) throw new TypeError("not yet");
      return "good";
    });
    return { rows, pages, both, caught };
  });
  return { task };
});

export const emptySteps = pipeline("empty-steps", (p) => {
  const empty = [undefined, null, false, 0, "", Number.NaN];
  const each = p.map("each", { over: [0, 1, 2, 3, 4, 5], retry: QUICK }, async ({ step, attempt, index, log }) => {
    const value = await step("make", () => {
      log("makes it");
      return empty[index];
    });
    if (attempt === 1) throw new Error("again");
    return [value];
  });
  return { each };
});

export const unstorableStep = pipeline("unstorable-step", (p) => {
  p.task("task", ({ step }) => step("bad", () => ({ nested: () => 1 }) as unknown));
});

const context = new AsyncLocalStorage<string>();
export const contexts = pipeline("contexts", (p) => {
  const first = p.task("first", () => {
    const before = context.getStore() ?? "none";
    context.enterWith("of the first task");
    return before;
  });
  const second = p.task("second", { after: [first] }, async () => {
    await Promise.resolve();
    return context.getStore() ?? "none";
  });
  return { first, second };
});

export const listening = pipeline("listening", (p) => {
  let warnings = 0;
  const onWarning = ({ name }: Error) => {
    if (name === "MaxListenersExceededWarning") warnings++;
  };
  const each = p.map("each", { over: Array.from({ length: 300 }, (_, n) => n) }, async ({ signal }) => {
    if (!process.listeners("warning").includes(onWarning)) process.on("warning", onWarning);
    for (let n = 0; n < 3; n++) signal.addEventListener("abort", () => undefined);
    await Promise.resolve();
    return warnings;
  });
  const most = p.task("most", { needs: { each } }, ({ input }) => {
    process.off("warning", onWarning);
    return Math.max(...input.each);
  });
  return { most };
});

export const exact = pipeline("exact", { params: params<{ fails: number }>() }, (p) => {
  const task = p.task("task", { retry: { attempts: 5, delay: 1, backoff: "fixed" } }, ({ attempt, params }) => {
    if (attempt <= params.fails) throw new Error(`down ${attempt}`);
    return attempt;
  });
  return { task };
});
