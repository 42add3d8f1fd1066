import { decode, type Executor, encode, type TaskJob, type TaskOutcome, type TaskPort } from "weftline";

/** What a broken executor does instead of `inner`. */
export type Overrides = (inner: Executor) => Partial<Executor>;

type Change = (outcome: TaskOutcome, job: TaskJob) => TaskOutcome;

function ends(change: Change): Overrides {
  return (inner) => ({ execute: async (job, port) => change(await inner.execute(job, port), job) });
}

function fails(change: (outcome: TaskOutcome & { kind: "failed" }) => TaskOutcome): Overrides {
  return ends((outcome) => (outcome.kind === "failed" ? change(outcome) : outcome));
}

function starts(change: (job: TaskJob) => TaskJob): Overrides {
  return (inner) => ({ execute: (job, port) => inner.execute(change(job), port) });
}

/** A port that holds back what it is told. */
function delayed(port: TaskPort, ms: number): TaskPort {
  const later =
    <Args extends unknown[]>(call: (...args: Args) => void) =>
    (...args: Args) =>
      void setTimeout(() => call(...args), ms);
  return {
    get signal() {
      return port.signal;
    },
    whenAborted: (fire) => port.whenAborted(fire),
    log: later((level, message, data) => port.log(level, message, data)),
    metric: later((name, value) => port.metric(name, value)),
    progress: later((fraction, message) => port.progress(fraction, message)),
    artifact: later((artifact) => port.artifact(artifact)),
  };
}

/** Adapters with one fault each, and the case that finds it. */
export const BROKEN_EXECUTORS: readonly (readonly [fault: string, overrides: Overrides, caughtBy: string])[] = [
  [
    "rejects when the code throws",
    (inner) => ({
      async execute(job, port) {
        const outcome = await inner.execute(job, port);
        if (outcome.kind === "failed") throw new Error(outcome.error.message);
        return outcome;
      },
    }),
    "execute() never rejects, whatever the code throws",
  ],
  [
    "drops causes",
    fails((outcome) => ({ ...outcome, error: { name: outcome.error.name, message: outcome.error.message } })),
    "execute() tells an error with its name, message, code and causes, as data",
  ],
  [
    "retries everything",
    fails((outcome) => ({ ...outcome, retryable: true })),
    "execute() says that a NonRetryableError is not worth another attempt",
  ],
  [
    "forgets the delay a task asked for",
    fails((outcome) => ({ ...outcome, retryAfterMs: undefined })),
    "execute() hands on the delay that RetryAfter asks for",
  ],
  [
    "takes a skip for a failure",
    ends((outcome) =>
      outcome.kind === "skipped"
        ? {
            kind: "failed",
            error: { name: "SkipTask", message: outcome.reason },
            retryable: true,
            retryAfterMs: undefined,
          }
        : outcome,
    ),
    "execute() gives SkipTask as skipped, with its reason",
  ],
  [
    "passes outputs through JSON",
    ends((outcome) =>
      outcome.kind === "succeeded"
        ? { ...outcome, output: encode(JSON.parse(JSON.stringify(String(decode(outcome.output)))), "output") }
        : outcome,
    ),
    "execute() gives what the function returned, encoded",
  ],
  [
    "has limits of its own",
    (inner) => ({ start: (host) => inner.start({ ...host, limits: { maxBytes: 1e9, maxDepth: 100 } }) }),
    "execute() refuses an output over the host's limits with OUTPUT_TOO_LARGE, for good",
  ],
  [
    "retries a task that it does not know",
    fails((outcome) => ({ ...outcome, retryable: outcome.error.code === "TASK_NOT_FOUND" || outcome.retryable })),
    "execute() of a task that is not known fails with TASK_NOT_FOUND, for good",
  ],
  [
    "finds tasks by their name alone",
    starts((job) => ({ ...job, pipeline: job.pipeline === "contract-twin" ? "contract" : job.pipeline })),
    "execute() keeps tasks of one name in different pipelines apart",
  ],
  [
    "hands over encoded inputs",
    starts((job) => ({
      ...job,
      input: Object.fromEntries(Object.entries(job.input).map(([name, value]) => [name, encode(value, "output")])),
    })),
    "the task sees its params and inputs decoded, and no input that does not exist",
  ],
  [
    "forgets an item that is falsy",
    starts((job) => ({ ...job, item: job.item === "j1:0" ? undefined : job.item })),
    "the task of a map sees its item decoded, and its place",
  ],
  [
    "loses what is known of the run",
    starts((job) => ({ ...job, run: { ...job.run, tags: [], key: undefined } })),
    "the task sees what is known of its run, itself and its attempt",
  ],
  [
    "makes a new idempotency key for each attempt",
    starts((job) => ({ ...job, runId: `${job.runId}-${job.attempt}` })),
    "the idempotency key is the same for every attempt, and another for every run, task and item",
  ],
  [
    "mixes up attempts that run at once",
    (inner) => {
      let last: TaskJob | undefined;
      return {
        async execute(job, port) {
          last = job;
          await Promise.resolve();
          return inner.execute(last, port);
        },
      };
    },
    "attempts that run at once do not mix up what they are given",
  ],
  [
    "reports what a task says after its outcome",
    (inner) => ({ execute: (job, port) => inner.execute(job, delayed(port, 20)) }),
    "what the task says arrives in order, whole, and before the outcome",
  ],
  [
    "crashes on what a task says after its end",
    (inner) => {
      let isBroken = false;
      return {
        async execute(job, port) {
          if (isBroken)
            return {
              kind: "failed",
              error: { name: "Error", message: "gone" },
              retryable: true,
              retryAfterMs: undefined,
            };
          return inner.execute(job, {
            ...delayed(port, 0),
            log: (level, message, data) => {
              isBroken = message === "late";
              port.log(level, message, data);
            },
          });
        },
      };
    },
    "what the task says after its end changes nothing, and the next attempt runs as ever",
  ],
  [
    "does not hand on the abort",
    (inner) => ({
      execute: (job, port) =>
        inner.execute(job, { ...delayed(port, 0), signal: new AbortController().signal, whenAborted() {} }),
    }),
    "code that heeds its signal ends by itself, long before its grace is over",
  ],
  [
    "waits for code that ignores its signal",
    (inner) => ({
      async execute(job, port) {
        const outcome = await inner.execute(job, port);
        if (outcome.kind !== "abandoned") return outcome;
        await outcome.ended;
        return { kind: "failed", error: { name: "Error", message: "late" }, retryable: true, retryAfterMs: undefined };
      },
    }),
    "code that ignores its signal is ended by force, or abandoned, when its grace is over",
  ],
  [
    "claims to kill and abandons",
    (inner) => ({ supports: { ...inner.supports, killable: true } }),
    "code that ignores its signal is ended by force, or abandoned, when its grace is over",
  ],
  [
    "claims to kill and lets the code go on",
    (inner) => ({
      supports: { ...inner.supports, killable: true },
      async execute(job, port) {
        const outcome = await inner.execute(job, port);
        if (outcome.kind !== "abandoned") return outcome;
        return {
          kind: "failed",
          error: { name: "Error", message: "killed" },
          retryable: true,
          retryAfterMs: undefined,
        };
      },
    }),
    "code that ignores its signal is ended by force, or abandoned, when its grace is over",
  ],
  [
    "settles `ended` before the code has ended",
    ends((outcome) => (outcome.kind === "abandoned" ? { ...outcome, ended: Promise.resolve() } : outcome)),
    "code that ignores its signal is ended by force, or abandoned, when its grace is over",
  ],
  [
    "has fewer slots than it says",
    (inner) => {
      let last: Promise<unknown> = Promise.resolve();
      return {
        slots: 2,
        execute(job, port) {
          const outcome = last.then(() => inner.execute(job, port));
          last = outcome;
          return outcome;
        },
      };
    },
    "slots: that many attempts run at once",
  ],
  [
    "has a slot less after each failure",
    (inner) => {
      let free = 100;
      return {
        slots: 2,
        async execute(job, port) {
          if (free <= 0) return new Promise(() => {});
          const outcome = await inner.execute(job, port);
          if (outcome.kind === "failed") free -= 50;
          return outcome;
        },
      };
    },
    "slots: a place is free again after every kind of end",
  ],
  [
    "says nothing sensible about its slots",
    () => ({ slots: 0 }),
    "supports says yes or no to each capability, and slots how many attempts run at once",
  ],
  [
    "leaves a timer for each attempt",
    (inner) => {
      let clock: Parameters<Executor["start"]>[0]["clock"] | undefined;
      return {
        start(host) {
          clock = host.clock;
          return inner.start(host);
        },
        execute(job, port) {
          clock!.timer(clock!.now() + 2_000, () => {});
          return inner.execute(job, port);
        },
      };
    },
    "stop() releases every timer, thread, process and socket",
  ],
  [
    "waits for ever for what ignores its signal when it stops",
    (inner) => {
      const running = new Set<Promise<TaskOutcome>>();
      return {
        execute(job, port) {
          const outcome = inner.execute({ ...job, params: 'j1:{"ms":5000}' }, port);
          running.add(outcome);
          return outcome;
        },
        async stop() {
          await Promise.all(running);
        },
      };
    },
    "stop() ends what still runs, by force where it can, and waits no longer than its grace",
  ],
];
