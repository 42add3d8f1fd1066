import { decode, encode } from "weftline";
import { ends, type Fault, fails, failure, succeeds } from "./fault.js";

const NOTHING = encode(undefined, "output");

/** Executors that end attempts in another way than they ended. */
export const OUTCOME_FAULTS: readonly Fault[] = [
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
    ends((outcome) => (outcome.kind === "skipped" ? failure("SkipTask", outcome.reason) : outcome)),
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
    "throws where an outcome is due",
    (inner) => ({
      execute(job, port) {
        const outcome = inner.execute(job, port);
        if (!(outcome instanceof Promise) && outcome.kind === "failed") throw new Error(outcome.error.message);
        return outcome;
      },
    }),
    "execute() never rejects, whatever the code throws",
  ],
  [
    "takes a probe that found nothing for one that found undefined",
    ends((outcome) => (outcome.kind === "not-yet" ? { kind: "succeeded", output: NOTHING } : outcome)),
    "a probe that finds nothing, undefined or false, ends the attempt as not-yet",
  ],
  [
    "looks again for everything falsy",
    succeeds((outcome, { task }) => (task === "look" && !decode(outcome.output) ? { kind: "not-yet" } : outcome)),
    "a probe's every other value is what it found, be it 0, null or an empty text",
  ],
  [
    "forgets what was measured",
    fails((outcome) => ({ ...outcome, error: { ...outcome.error, message: outcome.error.code ?? "failed" } })),
    "a check that passes gives its answer, one that does not fails with CHECK_FAILED and what was measured",
  ],
  [
    "drops the warnings of checks",
    succeeds(({ output }) => ({ kind: "succeeded", output })),
    "a check of severity warning that does not pass succeeds with a warning in words",
  ],
  [
    "fails where a warning would do",
    succeeds((outcome) => (outcome.warning === undefined ? outcome : failure("Error", outcome.warning))),
    "a check of severity warning that does not pass succeeds with a warning in words",
  ],
  [
    "takes a check without an answer for one that passed",
    fails((outcome) => (outcome.error.code === "CHECK_FAILED" ? { kind: "succeeded", output: NOTHING } : outcome)),
    "a check without an answer fails with CHECK_FAILED, whatever its severity",
  ],
  [
    "drops the warnings of expectations",
    succeeds(({ output }) => ({ kind: "succeeded", output })),
    "an expectation of severity warning that is not met succeeds with a warning in words",
  ],
  [
    "does not compare what was measured",
    (inner) => ({
      execute: async (job, port) => {
        const outcome = await inner.execute(job, port);
        const isUnmet = outcome.kind === "failed" && outcome.error.code === "EXPECTATION_FAILED";
        return isUnmet ? { kind: "succeeded", output: NOTHING } : outcome;
      },
    }),
    "an expectation of severity error that is not met fails with EXPECTATION_FAILED and what was measured",
  ],
  [
    "starts other runs itself, and gives nothing",
    succeeds((outcome, { task }) => (task === "start-another" ? { ...outcome, output: NOTHING } : outcome)),
    "a task that starts another run gives that run's params, encoded",
  ],
  [
    "sleeps itself, and gives nothing",
    succeeds((outcome, { task }) => (task === "pause" ? { ...outcome, output: NOTHING } : outcome)),
    "a sleep whose length is asked for gives that length",
  ],
];
