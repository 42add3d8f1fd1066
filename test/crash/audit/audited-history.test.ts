import type { HistoryEvent } from "@weftline/testing";
import { describe, expect, it } from "vitest";
import type { AttemptRecord, RunRecord, TaskRecord } from "weftline";
import { Asked } from "./asked.js";
import { auditedHistory } from "./audited-history.js";
import type { Change, RowChange, Said } from "./change.js";
import type { AskedRun, HostLine } from "./host-log.js";

const LEASE_MS = 1_000;

const RUN = {
  ...{ id: "r", pipeline: "p", definition: "p@1", params: "{}", key: undefined, fingerprint: "f", tags: [] },
  ...{ priority: 0, parent: undefined, createdAt: 1, availableAt: 1, schedule: undefined, instant: undefined },
  ...{ owner: "a", status: "queued", generation: 1, epoch: 1, crashes: 0 },
  ...{ startedAt: undefined, finishedAt: undefined, deadlineAt: undefined, error: undefined },
} satisfies RunRecord;

function task(status: TaskRecord["status"], more: Partial<TaskRecord> = {}): TaskRecord {
  return { runId: "r", task: "t", position: 0, index: [], generation: 1, status, attempts: 1, ...more } as TaskRecord;
}

function attempt(status: AttemptRecord["status"], more: Partial<AttemptRecord> = {}): AttemptRecord {
  const about = { runId: "r", task: "t", position: 0, index: [], generation: 1, attempt: 1, engineId: "a" } as const;
  return { ...about, status, executor: "x", startedAt: 5, finishedAt: undefined, error: undefined, ...more };
}

/** Rows of one transaction after the other, each a millisecond after the one before. */
function rows(...transactions: readonly (readonly (Said & { readonly change?: RowChange })[])[]): readonly Change[] {
  let seq = 0;
  return transactions.flatMap((said, tx) =>
    said.map((one) => ({ change: "I", ...one, tx: String(tx), seq: ++seq, at: 10_000 + seq }) as Change),
  );
}

const registered = { kind: "engine", id: "a", leaseUntil: 11_001 } as const;
const created = { kind: "run", run: RUN } as const;
const flush = (id: string, fenced: readonly string[] = []) => ({ kind: "flush", engine: "a", id, fenced }) as const;
const wrote = (status: TaskRecord["status"], first?: AttemptRecord) =>
  ({ kind: "task", task: task(status), first }) as const;

function asks(id: string, ...runs: readonly Partial<AskedRun>[]): HostLine {
  const whole = runs.map((run) => ({ runId: "r", epoch: 1, tasks: [], attempts: [], consumed: [], ...run }));
  return { type: "asked", engine: "a", flush: id, runs: whole };
}

function answer(id: string, more: object = {}): HostLine {
  return { type: "answered", engine: "a", flush: id, at: 10_010, outcome: "ok", fenced: [], ...more } as HostLine;
}

const asked = (status: string) => ({ position: 0, index: [], generation: 1, status });

function historyOf(changes: readonly Change[], ...lines: readonly HostLine[]) {
  return auditedHistory(changes, new Asked(lines), LEASE_MS);
}

function ofType<Type extends HistoryEvent["type"]>(events: readonly HistoryEvent[], type: Type) {
  return events.filter((event): event is HistoryEvent & { readonly type: Type } => event.type === type);
}

describe("auditedHistory()", () => {
  it("tells a flush by its row, with the epoch that its engine says it wrote under", () => {
    const changes = rows([registered], [created], [flush("f"), wrote("running", attempt("running"))]);
    const { history, findings, comparisons, engines } = historyOf(
      changes,
      asks("f", { epoch: 7, tasks: [asked("running")], attempts: [{ ...asked("running"), attempt: 1 }] }),
    );
    expect(history.map(({ type, seq }) => [type, seq])).toEqual([
      ["lease", 1],
      ["created", 2],
      ["flushed", 3],
    ]);
    const [flushed] = ofType(history, "flushed");
    expect(flushed).toMatchObject({ flush: "f", engine: "a", outcome: "ok" });
    expect(flushed!.runs).toMatchObject([{ runId: "r", epoch: 7, fenced: false, attempts: [{ status: "running" }] }]);
    expect([findings, comparisons, engines]).toEqual([[], 1, ["a"]]);
  });

  it("puts transactions in the order of their last rows", () => {
    const other = { ...created, run: { ...RUN, id: "s" } };
    const changes = rows([created], [flush("f"), wrote("running")], [other]);
    const seqs = [1, 2, 9, 5]; // the flush begins before the other run is made, and ends after it
    const mixed = changes.map((change, place) => ({ ...change, seq: seqs[place]! }));
    const { history } = historyOf(mixed.sort((one, another) => one.seq - another.seq));
    expect(history.map(({ type }) => type)).toEqual(["created", "created", "flushed"]);
  });

  it("takes no copy of a first attempt for one that was written again", () => {
    const ended = attempt("succeeded", { finishedAt: 8 });
    const changes = rows(
      [registered],
      [created],
      [flush("f"), wrote("succeeded", ended)],
      [flush("g"), { kind: "attempt", attempt: ended }, { ...wrote("succeeded"), change: "U" }],
      [flush("h"), { kind: "attempt", attempt: attempt("failed", { finishedAt: 9 }) }],
    );
    const { history } = historyOf(changes);
    const attempts = ofType(history, "flushed").map(({ runs }) => runs.flatMap((run) => run.attempts));
    expect(attempts.map((own) => own.map(({ status }) => status))).toEqual([["succeeded"], [], ["failed"]]);
  });

  it("tells messages that were answered from those that went with their run", () => {
    const message = {
      kind: "message",
      runId: "r",
      message: "signal",
      task: "t",
      tasks: undefined,
      key: undefined,
    } as const;
    const ended = { ...RUN, status: "succeeded", owner: undefined, finishedAt: 20 } as const;
    const changes = rows(
      [created],
      [{ ...message, id: "one" }],
      [{ ...message, id: "two" }],
      [
        flush("f"),
        { ...message, id: "one", change: "D" },
        { kind: "run", run: ended, change: "U" },
        { ...message, id: "two", change: "D" },
      ],
    );
    const { history } = historyOf(changes);
    expect(ofType(history, "sent").map(({ id }) => id)).toEqual(["one", "two"]);
    expect(ofType(history, "flushed")[0]!.runs).toMatchObject([{ consumed: ["one"], run: { status: "succeeded" } }]);
  });

  it("tells claims, whatever epoch they give, and no claim from runs that are given back", () => {
    const free = { ...RUN, owner: undefined };
    const changes = rows(
      [registered, { ...registered, id: "b" }],
      [created],
      [
        { ...registered, change: "D", isRelease: false },
        { kind: "run", run: free, change: "U" },
        { kind: "run", run: { ...RUN, owner: "b" }, change: "U" },
      ],
      [{ ...registered, leaseUntil: 12_000 }],
    );
    const { history } = historyOf(changes);
    expect(ofType(history, "claimed")).toMatchObject([{ runId: "r", engine: "b", epoch: 1 }]);
    // That it had died shows when it is registered anew.
    expect(ofType(history, "lease").map(({ engine, change }) => `${engine} ${change}`)).toEqual([
      "a registered",
      "b registered",
      "a lost",
    ]);
  });

  it("tells an engine that stopped from one that died by its runs, where nothing else tells", () => {
    const running = { ...RUN, status: "running" } as const;
    const gone = { ...registered, change: "D" } as const;
    const given = (crashes: number) =>
      ({ kind: "run", run: { ...running, owner: undefined, crashes }, change: "U" }) as const;
    const before = [[registered], [{ ...created, run: running }]] as const;
    const changesOf = (crashes: number) => ofType(historyOf(rows(...before, [gone, given(crashes)])).history, "lease");
    expect(changesOf(0).map(({ change }) => change)).toEqual(["registered", "released"]);
    expect(changesOf(1).map(({ change }) => change)).toEqual(["registered"]);
  });

  it("tells an instant that fired from one that was passed over, and from a schedule that is new", () => {
    const schedule = { id: "s", pipeline: "p", spec: "every 1s", nextAt: 2_000, lastAt: undefined };
    const run = { ...RUN, id: "i", schedule: "s", instant: 2_000 };
    const changes = rows(
      [{ kind: "schedule", schedule }],
      [
        { kind: "schedule", schedule: { ...schedule, nextAt: 3_000, lastAt: 2_000 }, change: "U" },
        { kind: "run", run },
      ],
      [{ kind: "schedule", schedule: { ...schedule, nextAt: 4_000, lastAt: 3_000 }, change: "U" }],
      [{ kind: "schedule", schedule: { ...schedule, spec: "every 2s", nextAt: 6_000 }, change: "U" }],
    );
    const { history } = historyOf(changes);
    expect(ofType(history, "scheduled").map((event) => event.schedule.spec)).toEqual(["every 1s", "every 2s"]);
    expect(ofType(history, "fired")).toMatchObject([
      { schedule: "s", expected: 2_000, next: 3_000, runId: "i", instant: 2_000 },
      { schedule: "s", expected: 3_000, next: 4_000, runId: undefined },
    ]);
  });

  it("puts what a new owner read behind its claim, unless somebody else may have written by then", () => {
    const load = (at: number): HostLine => ({ type: "loaded", engine: "b", runId: "r", epoch: 2, at, tasks: [] });
    const claim = (owner: string, epoch: number) =>
      ({ kind: "run", run: { ...RUN, owner, epoch }, change: "U" }) as const;
    const changes = rows([created], [claim("b", 2)], [claim("c", 3)]);
    const types = (at: number) => historyOf(changes, load(at)).history.map(({ type }) => type);
    expect(types(10_002)).toEqual(["created", "claimed", "loaded", "claimed"]);
    expect(types(10_003)).toEqual(["created", "claimed", "claimed"]);
  });

  it("puts a refused flush before the next one of its engine", () => {
    const whole = [
      { runId: "r", epoch: 1, run: undefined, tasks: [task("succeeded")], attempts: [], steps: [], logs: [] },
    ];
    const lines = [
      asks("bad"),
      answer("bad", { outcome: "rejected", rejected: [{ runId: "r", task: "t", index: [] }], whole }),
      asks("good"),
      answer("good"),
    ];
    const { history } = historyOf(rows([registered], [created], [flush("good"), wrote("failed")]), ...lines);
    expect(ofType(history, "flushed").map((event) => [event.flush, event.outcome])).toEqual([
      ["bad", "rejected"],
      ["good", "ok"],
    ]);
  });
});

describe("auditedHistory() finds it", () => {
  const before = [[registered], [created]] as const;
  const whole = asks("f", { tasks: [asked("succeeded")], attempts: [{ ...asked("succeeded"), attempt: 1 }] });
  const right = [flush("f"), wrote("succeeded", attempt("succeeded"))] as const;

  it.each([
    ["a task of the flush is missing", rows(...before, [flush("f")]), [whole], [24, 24]],
    ["it is there otherwise", rows(...before, [flush("f"), wrote("failed", attempt("succeeded"))]), [whole], [24]],
    ["nobody sent the flush", rows(...before, [...right]), [], [24]],
    ["something was written without a flush", rows(...before, [wrote("succeeded")]), [], [24]],
    ["its engine had died", rows([created], [{ ...registered, change: "D" }], [...right]), [whole], [15]],
    ["a flush that was confirmed is not there", rows(...before), [whole, answer("f")], [22]],
  ])("when %s", (_, changes, lines, invariants) => {
    expect(historyOf(changes, ...lines).findings.map(({ invariant }) => invariant)).toEqual(invariants);
  });

  it.each([
    ["is there as a whole", rows(...before, [...right]), [whole, answer("f")]],
    ["was not answered and is not there", rows(...before), [whole]],
    ["belonged to somebody else", rows(...before), [whole, answer("f", { fenced: ["r"] })]],
  ])("and has nothing against a flush that %s", (_, changes, lines) => {
    expect(historyOf(changes, ...lines).findings).toEqual([]);
  });
});
