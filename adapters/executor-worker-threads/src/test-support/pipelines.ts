// Loaded by the tests, and by their threads, as TypeScript.
import { AsyncLocalStorage } from "node:async_hooks";
import { readFile } from "node:fs";
import { createServer } from "node:net";
import { isMainThread, parentPort, threadId } from "node:worker_threads";
import { pipeline } from "weftline";

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const once = { attempts: 2, delay: 1, jitter: "none" } as const;
const context = new AsyncLocalStorage<string>();

let made = 0;
let ended = 0;
const lent = {
  threadId,
  get made() {
    return made;
  },
  [Symbol.asyncDispose]: async () => {
    ended++;
    process.stdout.write(`resources ended ${ended}\n`);
  },
};

/** Made once in each thread. */
export function resources(): object {
  made++;
  return lent;
}

interface Lent {
  readonly threadId: number;
  readonly made: number;
}

export const where = pipeline("where", (p) => {
  const items = Array.from({ length: 8 }, (_, item) => item);
  const ids = p.map("ids", { over: items }, async ({ resources }) => {
    await pause(20);
    const { threadId: lentId, made: times } = resources as Lent;
    return { threadId, lentId, times, isMainThread };
  });
  return { ids };
});

export const exiting = pipeline("exiting", (p) => {
  const exit = p.task("exit", { allowFailure: true, retry: once }, ({ log }) => {
    log("about to exit");
    process.exit(3);
  });
  const after = p.task("after", { after: [exit], triggerRule: "all-done" }, () => "alive");
  return { after };
});

export const leaving = pipeline("leaving", (p) => {
  p.task("leave", { allowFailure: true }, () => process.exit(0));
});

export const hungry = pipeline("hungry", (p) => {
  const eat = p.task("eat", { allowFailure: true, retry: once }, () => {
    const eaten: number[][] = [];
    for (;;) eaten.push(new Array<number>(500_000).fill(eaten.length + 0.5));
  });
  const after = p.task("after", { after: [eat], triggerRule: "all-done" }, () => "alive");
  return { after };
});

export const throwing = pipeline("throwing", (p) => {
  const options = { allowFailure: true } as const;
  const tasks = [
    p.task("timer", options, async () => {
      setTimeout(() => {
        throw new Error("thrown by a timer");
      }, 5);
      await pause(5_000);
    }),
    p.task("floating", options, async () => {
      void pause(5).then(() => Promise.reject(new Error("rejected and nobody looks")));
      await pause(5_000);
    }),
    p.task("emitter", options, async () => {
      const server = createServer().listen(1, "no.such.host.invalid");
      await pause(5_000);
      server.close();
    }),
  ];
  const after = p.task("after", { after: tasks, triggerRule: "all-done" }, () => "alive");
  return { after };
});

export const littering = pipeline("littering", (p) => {
  const timer = p.task("timer", () => {
    setTimeout(() => {
      throw new Error("thrown long after");
    }, 500);
    return threadId;
  });
  const victim = p.task("victim", { after: [timer] }, async () => {
    await pause(700);
    return threadId;
  });
  const callback = p.task("callback", { after: [victim] }, () => {
    readFile(new URL(import.meta.url), () => {
      throw new Error("thrown by a callback of the file system");
    });
    return threadId;
  });
  const last = p.task("last", { after: [callback] }, async () => {
    await pause(50);
    return threadId;
  });
  return { timer, victim, callback, last };
});

export const tidy = pipeline("tidy", (p) => {
  const first = p.task("first", async () => {
    await pause(2);
    await new Promise<void>((resolve, reject) => {
      readFile(new URL(import.meta.url), (error) => (error ? reject(error) : resolve()));
    });
    return threadId;
  });
  const second = p.task("second", { after: [first] }, () => threadId);
  return { first, second };
});

export const spinning = pipeline("spinning", (p) => {
  const spin = p.task("spin", { timeout: 150, allowFailure: true }, ({ progress }) => {
    progress(0, "spinning");
    for (;;);
  });
  const after = p.task("after", { after: [spin], triggerRule: "all-done" }, () => "alive");
  return { after };
});

export const endless = pipeline("endless", (p) => {
  p.task("spin", ({ progress }) => {
    progress(0, "spinning");
    for (;;);
  });
});

export const chatty = pipeline("chatty", (p) => {
  p.task("talk", () => {
    console.log("a line", 1);
    process.stdout.write("without ");
    process.stdout.write("an end");
    console.error("to stderr");
    return "said";
  });
  p.task("flood", () => {
    for (let line = 0; line < 100_000; line++) console.log(`line ${line} of a flood`);
    return "flooded";
  });
});

export const stepping = pipeline("stepping", (p) => {
  const work = p.task("work", { retry: once }, async ({ step, attempt, log, metric, progress, artifact }) => {
    const rows = await step("rows", () => {
      log(`counts in attempt ${attempt}`);
      return [1, 2, 3];
    });
    metric("rows", rows.length);
    progress(0.5, "half");
    artifact({ name: "rows.txt", data: rows.join() });
    if (attempt === 1) throw new Error("once");
    return rows.length;
  });
  return { work };
});

export const large = pipeline("large", (p) => {
  p.task("picture", ({ artifact }) => {
    artifact({ name: "picture", data: new Uint8Array(100 * 2 ** 20).fill(7) });
    return "kept";
  });
});

export const buffers = pipeline("buffers", (p) => {
  p.task("keep", ({ artifact }) => {
    const whole = Buffer.alloc(100_000, "x");
    const part = Buffer.from("a small one of the pool");
    artifact({ name: "whole", data: whole });
    artifact({ name: "part", data: part.subarray(2, 7) });
    return [whole.length, part.toString()];
  });
});

export const vandal = pipeline("vandal", (p) => {
  const patch = p.task("patch", () => {
    Date.now = () => 0;
    globalThis.setTimeout = (() => {
      throw new Error("patched");
    }) as never;
    process.env.PATCHED = "yes";
    return "patched";
  });
  const after = p.task("after", { after: [patch] }, async ({ step }) => step("still", () => "works"));
  return { after };
});

export const contexts = pipeline("contexts", (p) => {
  const first = p.task("first", () => {
    context.enterWith("of the first task");
    return context.getStore();
  });
  const second = p.task("second", { after: [first] }, async () => {
    const found = context.getStore() ?? "none";
    context.enterWith("of the second task");
    await pause(1);
    return [found, context.getStore()];
  });
  const third = p.task("third", { after: [second] }, () => context.getStore() ?? "none");
  return { first, second, third };
});

export const meddling = pipeline("meddling", (p) => {
  const meddle = p.task("meddle", () => {
    for (const message of [undefined, null, 1, "ended", { kind: "ended", token: 1 }, { taskId: 0, result: 1 }]) {
      parentPort!.postMessage(message);
    }
    return "meddled";
  });
  return { meddle };
});
