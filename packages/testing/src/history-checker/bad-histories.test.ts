import { describe, expect, it } from "vitest";
import { checkHistory } from "./check-history.js";
import { hashOf } from "./hash-of.js";
import type { Evidence, Facts, Settings, TaskShape } from "./history.js";
import {
  attempt,
  finalRun,
  LEASE_MS,
  NO_RETRY,
  START,
  Story,
  shape,
  state,
  task,
  taskShape,
} from "./test-support/story.js";

/** A history that is as it should be, and the same with one thing wrong. */
interface Case {
  readonly invariant: number;
  readonly what: string;
  /** @param isBad - Makes the one mistake. */
  readonly tell: (isBad: boolean) => Evidence;
}

const CHAIN = [taskShape("a"), taskShape("b", ["a"])];
const END = START + 500;

/** One engine, one run, its tasks one after the other; `b` goes on where the story is told from. */
function begun(tasks: readonly TaskShape[] = CHAIN, shapeFacts = {}): Story {
  const story = new Story();
  story.shapes.h = shape(tasks, shapeFacts);
  story.lease("e1");
  story.created("r1");
  story.flush({ runId: "r1", run: state("running") });
  return story;
}

function done(story: Story, id: string, position: number, facts: Parameters<typeof task>[3] = {}): void {
  const index = facts?.index ?? [];
  const number = facts?.attempts ?? 1;
  story.flush({
    runId: "r1",
    tasks: [task(id, position, "succeeded", { finishedAt: story.now, ...facts })],
    attempts: [
      attempt(id, position, "succeeded", { index, attempt: number, startedAt: story.now, finishedAt: story.now }),
    ],
  });
}

function ended(story: Story, status: "succeeded" | "failed" | "cancelled" = "succeeded", facts = {}): void {
  story.flush({ runId: "r1", run: state(status, { finishedAt: story.now, ...facts }) });
}

/** `a`, then `b`, then the end. */
function whole(): Story {
  const story = begun();
  done(story, "a", 0);
  done(story, "b", 1);
  ended(story);
  return story;
}

/** The same, by what the tasks say. */
function witnessed(isBad: boolean, wrong: (story: Story) => void, right: (story: Story) => void = () => {}): Story {
  const story = begun();
  story.saw("start", "a");
  story.pass(10).saw("end", "a");
  done(story, "a", 0);
  if (isBad) wrong(story);
  else right(story);
  return story;
}

/** Its owner dies, and `e2` takes the run up. */
function takenOver(facts: { crashes?: number; epoch?: number; at?: number; tasks?: readonly TaskShape[] } = {}): Story {
  const { crashes = 1, epoch = 2, at = START + LEASE_MS + 1, tasks = CHAIN } = facts;
  const story = begun(tasks);
  story.flush({
    runId: "r1",
    tasks: [task("a", 0, "running", { finishedAt: undefined })],
    attempts: [attempt("a", 0, "running", { finishedAt: undefined })],
  });
  story.now = at;
  story.lease("e2");
  story.claimed("r1", "e2", epoch, crashes);
  return story;
}

const fired = (
  story: Story,
  expected: number,
  next: number | undefined,
  instant = expected,
  runId = `s${expected}`,
): void => {
  story.add({ type: "fired", schedule: "p", expected, next, runId, instant });
  story.created(runId, { schedule: "p", instant, owner: undefined });
};

function scheduled(at = START): Story {
  const story = new Story();
  story.add({ type: "scheduled", schedule: { id: "p", pipeline: "p", spec: "every", nextAt: at, lastAt: undefined } });
  return story;
}

const CASES: readonly Case[] = [
  {
    invariant: 1,
    what: "a task starts in the flush that ends what it waits for",
    tell: (isBad) => {
      const story = begun();
      const both = [task("a", 0, "succeeded"), task("b", 1, "succeeded")];
      const attempts = [attempt("a", 0, "succeeded"), attempt("b", 1, "succeeded")];
      if (isBad) story.flush({ runId: "r1", tasks: both, attempts });
      else for (const at of [0, 1]) story.flush({ runId: "r1", tasks: [both[at]!], attempts: [attempts[at]!] });
      return story.evidence();
    },
  },
  {
    invariant: 1,
    what: "a witness sees a task start before its upstream is durable",
    tell: (isBad) => {
      const story = begun();
      if (isBad) story.saw("start", "b");
      done(story, "a", 0);
      if (!isBad) story.saw("start", "b");
      return story.evidence();
    },
  },
  {
    invariant: 2,
    what: "a run ends while a task has not",
    tell: (isBad) => {
      const story = begun();
      done(story, "a", 0);
      if (!isBad) done(story, "b", 1);
      ended(story);
      return story.evidence();
    },
  },
  {
    invariant: 2,
    what: "a task is skipped although its rule can be satisfied",
    tell: (isBad) => {
      const story = begun();
      done(story, "a", 0);
      if (isBad) story.flush({ runId: "r1", tasks: [task("b", 1, "skipped", { attempts: 0 })] });
      else done(story, "b", 1);
      ended(story);
      return story.evidence();
    },
  },
  {
    invariant: 3,
    what: "a task ends twice",
    tell: (isBad) => {
      const story = begun();
      done(story, "a", 0);
      if (isBad) story.flush({ runId: "r1", tasks: [task("a", 0, "failed")] });
      return story.evidence();
    },
  },
  {
    invariant: 3,
    what: "a task is opened anew though nobody asked",
    tell: (isBad) => {
      const story = whole();
      if (!isBad) story.sent("r1", "rerun", "m");
      else story.history.pop();
      if (!isBad) story.claimed("r1", "e1", 2);
      const tasks = [task("b", 1, "pending", { generation: 2, attempts: 0 })];
      story.flush({
        runId: "r1",
        epoch: isBad ? 1 : 2,
        tasks,
        run: state("running", { generation: 2 }),
        consumed: isBad ? [] : ["m"],
      });
      return story.evidence();
    },
  },
  {
    invariant: 4,
    what: "a task succeeds while it waits for its next attempt",
    tell: (isBad) => {
      const retry = { ...NO_RETRY, attempts: 2 };
      const story = begun([taskShape("a", [], { retry }), taskShape("b", ["a"])]);
      const retrying = task("a", 0, "retrying", { retryAt: START + 1_000 });
      story.flush({ runId: "r1", tasks: [retrying], attempts: [attempt("a", 0, "failed")] });
      story.pass(1_000);
      if (isBad) story.flush({ runId: "r1", tasks: [task("a", 0, "succeeded")] });
      else done(story, "a", 0, { attempts: 2 });
      return story.evidence();
    },
  },
  {
    invariant: 5,
    what: "an attempt is left out",
    tell: (isBad) => {
      const retry = { ...NO_RETRY, attempts: 3 };
      const story = begun([taskShape("a", [], { retry }), taskShape("b", ["a"])]);
      const retrying = task("a", 0, "retrying", { retryAt: START + 1_000 });
      story.flush({ runId: "r1", tasks: [retrying], attempts: [attempt("a", 0, "failed")] });
      story.pass(1_000);
      done(story, "a", 0, { attempts: isBad ? 3 : 2 });
      return story.evidence();
    },
  },
  {
    invariant: 5,
    what: "there are more attempts than the policy allows",
    tell: (isBad) => {
      const retry = { ...NO_RETRY, attempts: isBad ? 1 : 2 };
      const story = begun([taskShape("a", [], { retry }), taskShape("b", ["a"])]);
      const retrying = task("a", 0, "retrying", { retryAt: START + 1_000 });
      story.flush({ runId: "r1", tasks: [retrying], attempts: [attempt("a", 0, "failed")] });
      story.pass(1_000);
      done(story, "a", 0, { attempts: 2 });
      return story.evidence();
    },
  },
  {
    invariant: 6,
    what: "a task that has succeeded for good runs again",
    tell: (isBad) =>
      witnessed(
        isBad,
        (story) => story.saw("start", "a", { attempt: 2 }),
        (story) => story.saw("start", "b"),
      ).evidence(),
  },
  {
    invariant: 7,
    what: "two attempts of one owner run at once",
    tell: (isBad) => {
      const story = begun();
      story.saw("start", "a");
      if (!isBad) story.pass(5).saw("end", "a");
      story.pass(5).saw("start", "a", { attempt: 2 });
      if (isBad) story.pass(5).saw("end", "a");
      story.pass(5).saw("end", "a", { attempt: 2 });
      return story.evidence();
    },
  },
  {
    invariant: 8,
    what: "two owners run a task at once, and nothing had happened to the older",
    tell: (isBad) => {
      const story = takenOver();
      story.witness.push({
        runId: "r1",
        task: "a",
        index: [],
        attempt: 1,
        phase: "start",
        at: START,
        seq: 31,
        engine: "e1",
      });
      story.saw("start", "a", { attempt: 2, engine: "e2" });
      story.pass(10).saw("end", "a", { engine: "e1" });
      if (!isBad) story.faults.push({ kind: "pause", engine: "e1", from: START + 10, to: story.now });
      return story.evidence();
    },
  },
  {
    invariant: 8,
    what: "a task has deduplicated effects under two keys",
    tell: (isBad) =>
      witnessed(
        false,
        () => {},
        (story) => {
          story.saw("effect", "b", { key: "r1/b", deduplicated: true });
          story.saw("effect", "b", { key: isBad ? "r1/b#2" : "r1/b", deduplicated: true });
        },
      ).evidence(),
  },
  {
    invariant: 9,
    what: "a run succeeds although a task failed",
    tell: (isBad) => {
      const story = begun([taskShape("a")]);
      const error = { name: "Error", message: "no" };
      story.flush({
        runId: "r1",
        tasks: [task("a", 0, "failed", { error, finishedAt: story.now })],
        attempts: [attempt("a", 0, "failed", { error })],
        run: state(isBad ? "succeeded" : "failed", { finishedAt: story.now }),
      });
      return story.evidence();
    },
  },
  {
    invariant: 9,
    what: "a run is cancelled by nobody",
    tell: (isBad) => {
      const story = begun([taskShape("a")]);
      if (!isBad) story.sent("r1", "cancel");
      const tasks = [task("a", 0, "cancelled", { attempts: 0 })];
      story.flush({ runId: "r1", tasks, run: state("cancelled", { finishedAt: story.now }) });
      return story.evidence();
    },
  },
  {
    invariant: 10,
    what: "something is written after the run has ended",
    tell: (isBad) => {
      const story = whole();
      if (isBad) story.flush({ runId: "r1", tasks: [task("b", 1, "succeeded", { finishedAt: story.now })] });
      return story.evidence();
    },
  },
  {
    invariant: 11,
    what: "a list ends before its items",
    tell: (isBad) => {
      const each = taskShape("each", [], { kind: "map", mapped: true });
      const story = begun([each]);
      story.flush({ runId: "r1", tasks: [task("each", 0, "running", { attempts: 0, items: 2 })] });
      const items = [0, 1].map((place) => task("each", 0, "succeeded", { index: [place] }));
      const attempts = [0, 1].map((place) => attempt("each", 0, "succeeded", { index: [place] }));
      if (isBad) items.pop();
      const list = task("each", 0, "succeeded", { attempts: 0, items: 2 });
      story.flush({ runId: "r1", tasks: [...items, list], attempts });
      return story.evidence();
    },
  },
  {
    invariant: 11,
    what: "a list succeeds although an item failed",
    tell: (isBad) => {
      const each = taskShape("each", [], { kind: "map", mapped: true });
      const story = begun([each]);
      const item = task("each", 0, "failed", { index: [0] });
      const list = task("each", 0, isBad ? "succeeded" : "failed", { attempts: 0, items: 1 });
      story.flush({ runId: "r1", tasks: [item, list], attempts: [attempt("each", 0, "failed", { index: [0] })] });
      return story.evidence();
    },
  },
  {
    invariant: 12,
    what: "a task starts long after the run was cancelled",
    tell: (isBad) => {
      const story = begun();
      story.sent("r1", "cancel");
      story.pass(isBad ? 60_000 : 10).saw("start", "a", { leaseLeftMs: 1 });
      return story.evidence();
    },
  },
  {
    invariant: 12,
    what: "a cancelled run succeeds long after",
    tell: (isBad) => {
      const story = begun([taskShape("a")]);
      story.sent("r1", "cancel");
      story.pass(isBad ? 60_000 : 10);
      done(story, "a", 0);
      ended(story);
      return story.evidence();
    },
  },
  {
    invariant: 13,
    what: "a task is upstream-failed before what failed",
    tell: (isBad) => {
      const story = begun();
      const cause = { tasks: [task("a", 0, "failed")], attempts: [attempt("a", 0, "failed")] };
      const effect = { tasks: [task("b", 1, "upstream-failed", { attempts: 0 })] };
      for (const part of isBad ? [effect, cause] : [cause, effect]) story.flush({ runId: "r1", ...part });
      return story.evidence();
    },
  },
  {
    invariant: 14,
    what: "an epoch is given out again",
    tell: (isBad) => takenOver({ epoch: isBad ? 1 : 2 }).evidence(),
  },
  {
    invariant: 15,
    what: "a former owner writes",
    tell: (isBad) => {
      const story = takenOver();
      const tasks = [task("a", 0, "succeeded")];
      const attempts = [attempt("a", 0, "succeeded")];
      story.flush({ runId: "r1", epoch: 1, fenced: !isBad, tasks, attempts });
      return story.evidence();
    },
  },
  {
    invariant: 16,
    what: "two leases hold one run",
    tell: (isBad) => takenOver({ ...(isBad && { at: START + 10 }) }).evidence(),
  },
  {
    invariant: 17,
    what: "a task starts on an engine whose lease has run out",
    tell: (isBad) => {
      const story = begun();
      story.pass(isBad ? LEASE_MS + 1 : 1).saw("start", "a");
      return story.evidence();
    },
  },
  {
    invariant: 17,
    what: "a task starts after its engine's own measure of its lease",
    tell: (isBad) => {
      const story = begun();
      story.saw("start", "a", { leaseLeftMs: isBad ? -5 : 5 });
      return story.evidence();
    },
  },
  {
    invariant: 18,
    what: "a lease that had run out is renewed",
    tell: (isBad) => {
      const story = begun();
      story.pass(isBad ? LEASE_MS + 1 : LEASE_MS - 1).lease("e1", "renewed");
      return story.evidence();
    },
  },
  {
    invariant: 19,
    what: "a run is taken from a living engine",
    tell: (isBad) => takenOver({ ...(isBad && { at: START + 10 }) }).evidence(),
  },
  {
    invariant: 20,
    what: "a new owner goes on from something else than was written",
    tell: (isBad) => {
      const story = takenOver();
      story.add({ type: "loaded", runId: "r1", tasks: [task("a", 0, isBad ? "ready" : "running")] });
      return story.evidence();
    },
  },
  { invariant: 21, what: "a crash is not counted", tell: (isBad) => takenOver({ crashes: isBad ? 0 : 1 }).evidence() },
  {
    invariant: 22,
    what: "an acknowledged run is nowhere",
    tell: (isBad) => {
      const story = whole();
      const call = { operation: "trigger", invokedAt: START, returnedAt: START, outcome: "ok" } as const;
      story.clients.push({ ...call, runId: isBad ? "r2" : "r1" });
      return story.evidence();
    },
  },
  {
    invariant: 22,
    what: "the store loses a run",
    tell: (isBad) => whole().evidence({ final: { at: END, runs: isBad ? [] : [stored()] } }),
  },
  {
    invariant: 22,
    what: "an acknowledged cancel never reached the store",
    tell: (isBad) => {
      const story = begun();
      if (!isBad) story.sent("r1", "cancel");
      story.clients.push({ operation: "cancel", invokedAt: START, returnedAt: START, outcome: "ok", runId: "r1" });
      return story.evidence();
    },
  },
  {
    invariant: 23,
    what: "a trigger that was tried again gives another run",
    tell: (isBad) => {
      const story = whole();
      story.created("r2");
      const call = { operation: "trigger", invokedAt: START, returnedAt: START, intent: "1" } as const;
      story.clients.push({ ...call, outcome: "unknown" }, { ...call, outcome: "ok", runId: "r1" });
      story.clients.push({ ...call, outcome: "ok", runId: isBad ? "r2" : "r1" });
      return story.evidence();
    },
  },
  {
    invariant: 24,
    what: "a flush is written again under another id",
    tell: (isBad) => {
      const story = begun();
      done(story, "a", 0);
      if (isBad) done(story, "a", 0);
      return story.evidence();
    },
  },
  {
    invariant: 24,
    what: "half of a flush is stored",
    tell: (isBad) => whole().evidence({ final: { at: END, runs: [stored(isBad ? 1 : 2)] } }),
  },
  {
    invariant: 24,
    what: "a message is answered twice",
    tell: (isBad) => {
      const story = begun();
      story.sent("r1", "pause", "m");
      for (let times = 0; times < (isBad ? 2 : 1); times++)
        story.flush({ runId: "r1", consumed: ["m"], run: state("paused") });
      return story.evidence();
    },
  },
  {
    invariant: 25,
    what: "what was refused for another's sake is lost",
    tell: (isBad) => {
      const story = begun([taskShape("a"), taskShape("b")]);
      const part = { runId: "r1", tasks: [task("a", 0, "succeeded"), task("b", 1, "succeeded")] };
      const attempts = [attempt("a", 0, "succeeded"), attempt("b", 1, "succeeded")];
      story.flush({ ...part, attempts }, { outcome: "rejected", rejected: [{ runId: "r1", task: "a", index: [] }] });
      const failed = [attempt("a", 0, "failed"), attempt("b", 1, isBad ? "failed" : "succeeded")];
      const tasks = [task("a", 0, "failed"), task("b", 1, isBad ? "failed" : "succeeded")];
      story.flush({ runId: "r1", tasks, attempts: failed });
      return story.evidence();
    },
  },
  {
    invariant: 25,
    what: "a good value is refused",
    tell: (isBad) => {
      const story = begun([taskShape("a")]);
      const tasks = [task("a", 0, "succeeded", { output: isBad ? "j1:1" : 'j1:"BAD"' })];
      const attempts = [attempt("a", 0, "succeeded")];
      const rejected = [{ runId: "r1", task: "a", index: [] }];
      story.flush({ runId: "r1", tasks, attempts }, { outcome: "rejected", rejected });
      return story.evidence({ facts: { refused: ["BAD"] } });
    },
  },
  {
    invariant: 26,
    what: "an end is durable long after it",
    tell: (isBad) => {
      const story = begun();
      story.saw("start", "a");
      story.saw("end", "a");
      story.pass(isBad ? 9_000 : 10);
      done(story, "a", 0);
      return story.evidence();
    },
  },
  {
    invariant: 27,
    what: "what is stored is not what was returned",
    tell: (isBad) => {
      const story = begun();
      story.saw("start", "a");
      story.saw("end", "a", { outputHash: hashOf("j1:1") });
      done(story, "a", 0, { output: isBad ? "j1:2" : "j1:1" });
      return story.evidence();
    },
  },
  {
    invariant: 28,
    what: "a reader gets something else than was put out",
    tell: (isBad) => {
      const story = begun();
      done(story, "a", 0, { output: "j1:1" });
      story.saw("start", "b", { inputHashes: { a: hashOf(isBad ? "j1:2" : "j1:1") } });
      return story.evidence();
    },
  },
  {
    invariant: 29,
    what: "two runs stand for one instant",
    tell: (isBad) => {
      const story = scheduled();
      fired(story, START, START + 1_000);
      story.pass(1_000);
      if (isBad) story.created("again", { schedule: "p", instant: START, owner: undefined });
      else fired(story, START + 1_000, undefined);
      return story.evidence();
    },
  },
  {
    invariant: 29,
    what: "an instant is left out in silence",
    tell: (isBad) => {
      const story = scheduled();
      fired(story, START, isBad ? START + 2_000 : START + 1_000);
      story.pass(2_000);
      if (!isBad) fired(story, START + 1_000, START + 2_000);
      fired(story, START + 2_000, undefined);
      return story.evidence({ facts: { instants: { p: [START, START + 1_000, START + 2_000] } } });
    },
  },
  {
    invariant: 30,
    what: "a run is made before its instant",
    tell: (isBad) => {
      const story = scheduled(START + 1_000);
      story.pass(isBad ? 990 : 1_000);
      fired(story, START + 1_000, undefined);
      return story.evidence();
    },
  },
  {
    invariant: 30,
    what: "a run stands for what is no instant",
    tell: (isBad) => {
      const story = scheduled();
      fired(story, START, undefined);
      return story.evidence({ facts: { instants: { p: [isBad ? START + 1 : START] } } });
    },
  },
  {
    invariant: 31,
    what: "all instants of a night are made up for",
    tell: (isBad) => {
      const hour = 3_600_000;
      const story = scheduled();
      story.pass(3 * hour);
      if (isBad) for (let at = START; at < START + 3 * hour; at += hour) fired(story, at, at + hour);
      else fired(story, START, START + 4 * hour, START + 3 * hour);
      return story.evidence();
    },
  },
  {
    invariant: 32,
    what: "two runs of a schedule are active at once",
    tell: (isBad) => {
      const story = scheduled();
      story.lease("e1");
      fired(story, START, START + 10);
      story.claimed(`s${START}`, "e1", 1);
      if (!isBad) story.flush({ runId: `s${START}`, run: state("succeeded", { finishedAt: story.now }) });
      story.pass(10);
      fired(story, START + 10, undefined);
      story.claimed(`s${START + 10}`, "e1", 1);
      return story.evidence({ settings: { overlap: { p: 1 } } });
    },
  },
  {
    invariant: 33,
    what: "a key has two runs",
    tell: (isBad) => {
      const story = begun();
      story.created("r2", { key: "k" });
      story.created("r3", { key: isBad ? "k" : "l" });
      return story.evidence();
    },
  },
  {
    invariant: 33,
    what: "other params under a key are not refused",
    tell: (isBad) => {
      const story = begun();
      const call = {
        operation: "trigger",
        invokedAt: START,
        returnedAt: START,
        outcome: "ok",
        pipeline: "p",
        key: "k",
      } as const;
      story.clients.push({ ...call, runId: "r1", params: "1" }, { ...call, runId: "r1", params: isBad ? "2" : "1" });
      return story.evidence();
    },
  },
  {
    invariant: 34,
    what: "the next attempt comes at once",
    tell: (isBad) => {
      const retry = { ...NO_RETRY, attempts: 2 };
      const story = begun([taskShape("a", [], { retry }), taskShape("b", ["a"])]);
      const retrying = task("a", 0, "retrying", { retryAt: START + 1_000 });
      story.flush({ runId: "r1", tasks: [retrying], attempts: [attempt("a", 0, "failed")] });
      story.pass(isBad ? 0 : 1_000);
      done(story, "a", 0, { attempts: 2 });
      return story.evidence();
    },
  },
  {
    invariant: 35,
    what: "a sleep begins anew with a takeover",
    tell: (isBad) => {
      const story = takenOver({ tasks: [taskShape("s", [], { kind: "sleep" })] });
      story.history.splice(3, 1);
      const until = START + 5_000;
      const asleep = (at: number) => task("s", 0, "waiting", { attempts: 0, wait: { kind: "sleep", until: at } });
      story.flush({ runId: "r1", epoch: 2, tasks: [asleep(until)] }, { engine: "e2" });
      story.flush({ runId: "r1", epoch: 2, tasks: [asleep(isBad ? until + LEASE_MS : until)] }, { engine: "e2" });
      return story.evidence();
    },
  },
  {
    invariant: 35,
    what: "a sleep ends late, or early",
    tell: (isBad) => {
      const story = begun([taskShape("s", [], { kind: "sleep" })]);
      const wait = { kind: "sleep", until: START + 5_000 } as const;
      story.flush({ runId: "r1", tasks: [task("s", 0, "waiting", { attempts: 0, wait })] });
      story.pass(isBad ? 4_000 : 5_000);
      story.flush({ runId: "r1", tasks: [task("s", 0, "succeeded", { attempts: 0, finishedAt: story.now })] });
      return story.evidence();
    },
  },
  {
    invariant: 36,
    what: "more attempts run at once than the task allows",
    tell: (isBad) => {
      const each = taskShape("each", [], { kind: "map", mapped: true, concurrency: 1 });
      const story = begun([each]);
      story.saw("start", "each", { index: [0] });
      if (!isBad) story.saw("end", "each", { index: [0] });
      story.saw("start", "each", { index: [1] });
      return story.evidence();
    },
  },
  {
    invariant: 36,
    what: "more run at once than a pool has slots",
    tell: (isBad) => {
      const story = begun([taskShape("a", [], { pool: "gpu", slots: 2 }), taskShape("b", [], { pool: "gpu" })]);
      story.saw("start", "a");
      if (!isBad) story.saw("end", "a");
      story.saw("start", "b");
      return story.evidence({ settings: { pools: { gpu: 2 } } });
    },
  },
  {
    invariant: 37,
    what: "a value of one run gets into another",
    tell: (isBad) => {
      const story = begun();
      done(story, "a", 0, { output: isBad ? 'j1:"TOKEN-2"' : 'j1:"TOKEN-1"' });
      return story.evidence({ facts: { tokens: { r1: "TOKEN-1", r2: "TOKEN-2" } } });
    },
  },
  {
    invariant: 38,
    what: "a task is blamed for what another threw",
    tell: (isBad) => {
      const story = begun([taskShape("a"), taskShape("b")]);
      story.saw("start", "a");
      story.saw("end", "a", { outcome: "threw", errorToken: isBad ? "TOKEN-B" : "TOKEN-A" });
      story.saw("start", "b");
      story.saw("end", "b", { outcome: "threw", errorToken: isBad ? "TOKEN-A" : "TOKEN-B" });
      const error = { name: "Error", message: "TOKEN-A" };
      story.flush({
        runId: "r1",
        tasks: [task("a", 0, "failed", { error })],
        attempts: [attempt("a", 0, "failed", { error })],
      });
      return story.evidence();
    },
  },
  ...["hunter 2", btoa(" hunter 2"), "hunter%202", "68756e7465722032"].map(
    (form): Case => ({
      invariant: 39,
      what: `a secret is stored as ${form}`,
      tell: (isBad) => {
        const story = begun();
        done(story, "a", 0, { output: `j1:"${isBad ? form : "hunter"}"` });
        return story.evidence({ facts: { secrets: ["hunter 2"] } });
      },
    }),
  ),
  {
    invariant: 40,
    what: "a run changes its definition by itself",
    tell: (isBad) => whole().evidence({ final: { at: END, runs: [stored(2, isBad ? "other" : "h")] } }),
  },
  {
    invariant: 40,
    what: "a task stands where its definition has another",
    tell: (isBad) => {
      const story = begun([taskShape("a"), taskShape("b")]);
      done(story, "a", isBad ? 1 : 0);
      return story.evidence();
    },
  },
  ...liveness(),
];

function stored(tasks = 2, definition = "h") {
  const [a, b] = [task("a", 0, "succeeded", { finishedAt: START }), task("b", 1, "succeeded", { finishedAt: START })];
  const attempts = [attempt("a", 0, "succeeded"), attempt("b", 1, "succeeded")];
  return finalRun("succeeded", [a, b].slice(0, tasks), attempts.slice(0, tasks), { definition });
}

function liveness(): Case[] {
  const healed: Settings = { healedAt: START, until: START + 200_000 };
  const held = (story: Story, ...engines: string[]) => {
    for (const engine of engines) story.lease(engine, "registered", START + 1_000_000);
  };
  const call = { invokedAt: START, outcome: "ok" } as const;
  return [
    {
      invariant: 41,
      what: "a run is left over when all is healed",
      tell: (isBad) => {
        const story = begun();
        done(story, "a", 0);
        if (!isBad) {
          done(story, "b", 1);
          ended(story);
        }
        return story.evidence({ settings: healed });
      },
    },
    {
      invariant: 42,
      what: "a task is left running by an engine that is gone",
      tell: (isBad) => {
        const story = begun([taskShape("a")]);
        story.lease("e1", "renewed", isBad ? START + LEASE_MS : START + 1_000_000);
        story.flush({ runId: "r1", tasks: [task("a", 0, "running")], attempts: [attempt("a", 0, "running")] });
        const poll = { kind: "poll", until: START + 199_000, probes: 1 } as const;
        if (!isBad) story.flush({ runId: "r1", tasks: [task("a", 0, "waiting", { wait: poll })] });
        return story.evidence({ settings: healed });
      },
    },
    {
      invariant: 43,
      what: "a killed engine's run goes on late",
      tell: (isBad) => {
        const story = begun();
        held(story, "e2");
        story.faults.push({ kind: "kill", engine: "e1", from: START, to: START });
        story.pass(isBad ? 20_000 : 11_000);
        story.claimed("r1", "e2", 2, 1);
        return story.evidence();
      },
    },
    {
      invariant: 44,
      what: "without hints a run is found late",
      tell: (isBad) => {
        const story = new Story();
        held(story, "e1");
        story.created("r1", { owner: undefined });
        story.faults.push({ kind: "no-hints", engine: undefined, from: START, to: START + 60_000 });
        story.pass(isBad ? 30_000 : 1_000);
        story.claimed("r1", "e1", 1);
        return story.evidence();
      },
    },
    {
      invariant: 45,
      what: "a ready task does not get its turn",
      tell: (isBad) => {
        const story = begun();
        done(story, "a", 0);
        story.pass(isBad ? 9_000 : 10);
        done(story, "b", 1);
        return story.evidence({ settings: { starvationMs: 1_000 } });
      },
    },
    {
      invariant: 46,
      what: "a run that takes engines down is not quarantined",
      tell: (isBad) => {
        const story = begun();
        const status = isBad ? "failed" : "quarantined";
        story.flush({ runId: "r1", run: state(status, { crashes: 3, finishedAt: story.now }) });
        return story.evidence({ facts: { poison: ["r1"] } });
      },
    },
    {
      invariant: 47,
      what: "a result never settles",
      tell: (isBad) => {
        const story = whole();
        const returnedAt = isBad ? undefined : START + 10;
        story.clients.push({ ...call, operation: "result", runId: "r1", returnedAt });
        return story.evidence({ settings: healed });
      },
    },
    ...[
      { what: "takes longer than its grace", wrong: { returnedAt: START + 60_000 } },
      { what: "leaves a process behind", wrong: { left: { processes: 1 } } },
      { what: "exits with an error", wrong: { left: { exitCode: 1 } } },
    ].map(
      ({ what, wrong }): Case => ({
        invariant: 48,
        what: `a stop ${what}`,
        tell: (isBad) => {
          const story = whole();
          const stop = { ...call, operation: "stop", engine: "e1", graceMs: 1_000, returnedAt: START + 500 } as const;
          story.clients.push({ ...stop, ...(isBad && wrong) });
          return story.evidence({ settings: healed });
        },
      }),
    ),
    {
      invariant: 49,
      what: "a probe does not get done",
      tell: (isBad) => (isBad ? begun() : whole()).evidence({ facts: { probes: [{ engine: "e1", runId: "r1" }] } }),
    },
    {
      invariant: 49,
      what: "nobody looks whether an engine still works",
      tell: (isBad) => {
        const facts: Facts = { probes: [{ engine: "e1", runId: "r1" }], alive: isBad ? ["e1", "e2"] : ["e1"] };
        return whole().evidence({ facts });
      },
    },
  ];
}

describe("checkHistory()", () => {
  it.each(CASES)("invariant $invariant: finds that $what", ({ invariant, tell }) => {
    const good = checkHistory(tell(false));
    expect(good.violations.map(({ invariant: number, why }) => `${number}: ${why}`)).toEqual([]);
    expect(good.checked.map((one) => one.invariant)).toContain(invariant);
    const bad = checkHistory(tell(true));
    expect(bad.outcome).toBe("violated");
    const found = bad.violations.filter(({ severity }) => severity === "violation").map((one) => one.invariant);
    expect(found).toContain(invariant);
  });

  it("has a bad history for each of its invariants", () => {
    const invariants = new Set(CASES.map(({ invariant }) => invariant));
    expect([...Array(50).keys()].slice(1).filter((invariant) => !invariants.has(invariant))).toEqual([]);
  });
});
