import fc from "fast-check";
import {
  findRejected,
  inProcess,
  LeaseBoard,
  LeaseRenewal,
  memoryStorage,
  pipeline,
  runAttempt,
  systemClock,
  timerScheduler,
} from "weftline";
import { mostly, values } from "../cases.js";
import { type Entry, entry, Told } from "../entry.js";
import { hostile, hostileError, hostileNumber, hostileText } from "../hostile.js";
import { answering } from "./options.js";

// biome-ignore lint/suspicious/noExplicitAny: a caller without types is what this is about
type Any = any;

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const encodedCase = mostly(values("j1:1", "u1:"), fc.oneof(hostileText, hostile));
const port = {
  started() {},
  signal: new AbortController().signal,
  whenAborted() {},
  log() {},
  metric() {},
  progress() {},
  artifact() {},
  findStep: async () => undefined,
  keepStep: async () => {},
  findCached: async () => undefined,
};

/** What authors of adapters call. Their arguments are the engine's, so that only data in them is hostile. */
export const ADAPTER_ENTRIES: readonly Entry[] = [
  entry("weftline.memoryStorage", {}, async () => {
    const storage = memoryStorage();
    await storage.open({ log: SILENT, now: () => 0 });
    await storage.close();
  }),
  entry("weftline.inProcess", {}, async () => inProcess().stop({ graceMs: 0 })),
  entry("weftline.timerScheduler", {}, () => void timerScheduler()),
  entry(
    "weftline.runAttempt",
    { params: encodedCase, input: encodedCase, run: answering, thrown: hostileError },
    async (_world, params: Any, input: Any, run: Any, thrown: Any) => {
      const read = pipeline("attempted", (p) => {
        p.task("reads", (context: Any) => [context.params, context.input, run()]);
        p.task("throws", () => {
          throw thrown;
        });
      });
      const job = {
        runId: "r",
        pipeline: read.id,
        definition: read.hash,
        task: "reads",
        position: 0,
        index: [],
        generation: 1,
        attempt: 1,
        params,
        input: { input },
        items: [],
        run: {},
        graceMs: 0,
      };
      for (const task of read.plan.tasks) {
        // It never rejects: whatever happens is an outcome.
        const outcome = await runAttempt(task, job as Any, port as Any, {
          resources: {},
          limits: { maxBytes: 1e6, maxDepth: 100 },
          now: () => 0,
        });
        if (outcome.kind === "failed" && outcome.error.message.length > 8_192) return new Told("x".repeat(30_000));
      }
      return undefined;
    },
  ),
  entry("weftline.findRejected", { probe: answering }, async (_world, probe: Any) => {
    const none = {
      attempts: [],
      logs: [],
      metrics: [],
      artifacts: [],
      steps: [],
      assets: [],
      cached: [],
      consumed: [],
    };
    const flush = {
      id: "f",
      number: 1,
      engineId: "e",
      runs: [{ runId: "r", epoch: 1, run: undefined, tasks: [], ...none }],
    };
    await findRejected(flush as Any, async (part) => {
      await probe(part);
      return undefined;
    });
  }),
  entry("weftline.LeaseBoard", { now: values(0, 1, 1e12, 0.5) }, (_world, now: Any) => {
    const board = new LeaseBoard();
    board.beat(now);
    board.renewed(now);
    board.lost();
    if (board.losses !== 1) throw new Error("a lease board lost count");
  }),
  entry("weftline.LeaseRenewal", { error: hostileError }, async (_world, error: Any) => {
    const renewal: Any = new LeaseRenewal({
      renew: () => Promise.reject(error),
      leaseMs: 100,
      everyMs: 50,
      clock: systemClock,
      onRenewal() {},
    });
    renewal.start(systemClock.monotonicMs());
    await new Promise((resolve) => setImmediate(resolve));
    await renewal.stop();
  }),
  entry("weftline.systemClock", { at: hostileNumber.filter(({ name }) => !name.endsWith("n")) }, (_world, at: Any) =>
    systemClock.timer(at, () => {})(),
  ),
];
