import { describe, expect, it } from "vitest";
import { checkHistory } from "./check-history.js";
import type { Evidence } from "./history.js";
import { START, Story, shape, state, taskShape } from "./test-support/story.js";

const EMPTY = { at: START, runs: [] };

/** A run without tasks that has ended, and is deleted. */
function deleted({ ends = true, isPruned = false } = {}): Story {
  const story = new Story();
  story.shapes.h = shape([]);
  story.lease("e1");
  story.created("r1");
  if (ends) story.flush({ runId: "r1", run: state("succeeded", { finishedAt: story.now }) });
  story.add({ type: "deleted", runId: "r1", isPruned });
  return story;
}

function found(evidence: Evidence): readonly number[] {
  return checkHistory(evidence).violations.map(({ invariant }) => invariant);
}

describe("checkHistory() on deleted runs", () => {
  it("finds nothing wrong with a run that had ended", () => {
    const verdict = checkHistory(deleted().evidence({ final: { ...EMPTY, remains: [] } }));
    expect(verdict.violations).toEqual([]);
    expect(verdict.coverage).toMatchObject({ deletes: 1, prunedRuns: 0 });
    expect(checkHistory(deleted({ isPruned: true }).evidence()).coverage).toMatchObject({ deletes: 0, prunedRuns: 1 });
  });

  it("finds that a run was deleted before it had ended", () => {
    expect(found(deleted({ ends: false }).evidence())).toEqual([22]);
  });

  it("finds that a run was deleted after it was opened again", () => {
    const story = new Story();
    story.lease("e1");
    story.created("r1");
    story.flush({ runId: "r1", run: state("failed", { finishedAt: story.now }) });
    story.sent("r1", "resume");
    story.add({ type: "deleted", runId: "r1" });
    expect(found(story.evidence())).toContain(22);
  });

  it.each([
    ["a parent", { parent: { runId: "r1", task: "a", index: [] } }, "r2"],
    ["a child", {}, "r1"],
  ])("finds that a run was deleted with old ones although %s of it goes on", (_, facts, gone) => {
    const tell = (isPruned: boolean) => {
      const story = new Story();
      story.lease("e1");
      story.created("r1");
      story.created("r2", "parent" in facts ? facts : { parent: { runId: "r1", task: "a", index: [] } });
      story.flush({ runId: gone, run: state("succeeded", { finishedAt: story.now }) });
      story.add({ type: "deleted", runId: gone, isPruned });
      return found(story.evidence());
    };
    expect(tell(true)).toEqual([22]);
    expect(tell(false)).toEqual([]);
  });

  it("finds what is left of a run", () => {
    const remains = [{ runId: "r1", kind: "attempts", records: 2 }] as const;
    expect(found(deleted().evidence({ final: { ...EMPTY, remains } }))).toEqual([24]);
  });

  it("finds that a run got the id of one that was deleted", () => {
    const story = deleted();
    story.created("r1");
    expect(found(story.evidence())).toContain(14);
  });

  it("takes a key whose run was deleted as free", () => {
    const story = new Story();
    story.lease("e1");
    for (const runId of ["r1", "r2"]) {
      story.created(runId, { key: "k" });
      story.flush({ runId, run: state("succeeded", { finishedAt: story.now }) });
      if (runId === "r1") story.add({ type: "deleted", runId });
    }
    expect(found(story.evidence())).toEqual([]);
  });
});

describe("checkHistory() on leases", () => {
  it("takes an engine that registers again after its lease had run out as one that had died", () => {
    const tell = (waitsMs: number) => {
      const story = new Story();
      story.lease("e1");
      story.created("r1");
      story.pass(waitsMs).lease("e1");
      story.claimed("r1", "e1", 2);
      return found(story.evidence());
    };
    expect(tell(20_000)).toEqual([]);
    expect(tell(5_000)).toEqual([19, 16]);
  });
});

describe("checkHistory() on limits of active runs", () => {
  it("finds that one more run was claimed than may be under way", () => {
    const tell = (ends: boolean, facts = {}) => {
      const story = new Story();
      story.lease("e1");
      for (const runId of ["r1", "r2"]) {
        story.created(runId, { owner: undefined });
        story.add({ type: "claimed", runId, engine: "e1", epoch: 1, crashes: 0, status: "queued", ...facts });
        if (ends) story.flush({ runId, run: state("succeeded", { finishedAt: story.now }) });
      }
      return found(story.evidence({ settings: { maxActiveRuns: { p: 1 } } }));
    };
    expect(tell(true)).toEqual([]);
    expect(tell(false)).toEqual([32]);
    expect(tell(false, { isAlone: true })).toEqual([]);
  });
});

describe("checkHistory() on runs that were carried over", () => {
  /** `a` of the former version is `b` of the next. */
  function carriedOver(): Story {
    const story = new Story();
    story.shapes.h = shape([taskShape("a")]);
    story.shapes.h2 = shape([taskShape("first"), taskShape("b")], { hash: "h2" });
    story.lease("e1");
    story.created("r1");
    story.saw("start", "a");
    story.saw("end", "a");
    const ended = { finishedAt: story.now };
    const [position, index, generation] = [0, [], 1];
    const identity = { runId: "r1", task: "a", position, index, generation };
    story.flush({
      runId: "r1",
      tasks: [
        { ...identity, status: "succeeded", attempts: 1, attemptsBefore: 0, startedAt: story.now, ...ended },
      ] as never,
      attempts: [
        { ...identity, attempt: 1, status: "succeeded", engineId: "e1", startedAt: story.now, ...ended },
      ] as never,
    });
    const tasks = [{ from: 0, position: 1, task: "b" }];
    story.add({ type: "remapped", runId: "r1", engine: "e1", epoch: 1, definition: "h2", tasks });
    return story;
  }

  it("finds that a run that was said to be carried over was not", () => {
    const call = { operation: "remap", invokedAt: START, returnedAt: START, outcome: "ok", runId: "r1" } as const;
    const good = carriedOver();
    good.clients.push(call);
    expect(found(good.evidence())).toEqual([]);
    const bad = deleted();
    bad.clients.push(call);
    expect(found(bad.evidence())).toEqual([22]);
  });

  it("finds that what was done under the former version runs again", () => {
    const good = carriedOver();
    good.saw("start", "first");
    expect(found(good.evidence())).toEqual([]);
    const bad = carriedOver();
    bad.saw("start", "b", { attempt: 2 });
    expect(found(bad.evidence())).toContain(6);
  });
});
