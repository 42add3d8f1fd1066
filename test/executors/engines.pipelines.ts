import { existsSync } from "node:fs";
import { pipeline } from "weftline";
import { aborted, params, pause } from "./task-helpers.js";

interface Door {
  /** While there is no such file, tasks that look for it stay. */
  readonly door: string;
}

export const handedOver = pipeline("handed-over", { params: params<Door>() }, (p) => {
  const before = p.task("before", ({ log }) => {
    log("before runs");
    return new Date(5);
  });
  // One attempt alone: what an engine's stop cuts off is no failure.
  const long = p.task("long", { needs: { before } }, async ({ params, input, signal, step, log, idempotencyKey }) => {
    const key = await step("key", () => {
      log("does the step");
      return idempotencyKey;
    });
    log("begins");
    if (!existsSync(params.door)) {
      await aborted(signal).catch((reason: { code: string }) => {
        log(`told: ${reason.code}`);
        throw reason as unknown as Error;
      });
    }
    return [input.before, key === idempotencyKey];
  });
  const each = p.map("each", { over: [1, 2], after: [long] }, ({ item }) => item);
  const after = p.task("after", { needs: { long, each } }, ({ input }) => [...input.long, input.each]);
  return { after };
});

export const spinning = pipeline("spinning", { params: params<Door>() }, (p) => {
  const spins = p.task("spins", async ({ params, log }) => {
    log("begins");
    await pause(5);
    while (!existsSync(params.door));
    return "through the door";
  });
  return { spins };
});

export const finishing = pipeline("finishing", (p) => {
  const slow = p.task("slow", async ({ log }) => {
    log("begins");
    await pause(150);
    return "ended by itself";
  });
  const next = p.task("next", { needs: { slow } }, ({ input }) => `after it ${input.slow}`);
  return { next };
});

export const waiting = pipeline("waiting", (p) => {
  const asks = p.task("asks", ({ log }) => log("begins"));
  const pauseFor = p.sleep("pause", { for: 200, after: [asks] });
  const answer = p.signal("answer", { after: [asks] });
  const end = p.task("end", { needs: { answer }, after: [pauseFor] }, ({ input }) => input.answer);
  return { end };
});

export const retrying = pipeline("retrying", (p) => {
  const task = p.task("task", { retry: { attempts: 2, delay: 300, backoff: "fixed" } }, ({ attempt, log }) => {
    log("begins");
    if (attempt === 1) throw new Error("down");
    return attempt;
  });
  return { task };
});
