import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { TaskRecord } from "../contracts/records.js";
import { START_LIST } from "../define/plan.js";
import { taskName } from "../engine/errors.js";
import { taskRecord } from "../engine/task-records.js";
import { type RandomNode, randomNodes, randomPipelineOf } from "../test-support/random-groups.js";
import { begun } from "../test-support/run-states.js";
import { noEffects } from "./effects.js";
import { runOutcome } from "./outcome.js";
import { isGroupFrame } from "./recount.js";
import { reopen } from "./reopen.js";
import { restore } from "./restore.js";
import { isFinal, PENDING, READY, RETRYING, RUNNING, type RunState, UPSTREAM_COUNTERS } from "./state.js";
import * as transition from "./transition.js";

const preorder = (nodes: readonly RandomNode[]): RandomNode[] =>
  nodes.flatMap((node) => [node, ...preorder(node.inside)]);
const choiceOf = ({ doing }: RandomNode) => (doing.length > 1 ? "left" : "right");

/** Does to the state of a run with groups what an engine would, in the order a test chooses. */
class Driver {
  readonly state: RunState;
  readonly effects = noEffects();
  readonly #nodes: readonly RandomNode[];
  readonly #failed: Set<string>;
  #generation: number;

  constructor(nodes: readonly RandomNode[], state: RunState, failed = new Set<string>(), generation = 1) {
    this.#nodes = nodes;
    this.state = state;
    this.#failed = failed;
    this.#generation = generation;
  }

  begin(): this {
    for (const { owner, stride } of [...this.state.expansions.values()]) if (stride > 1) this.#advance(owner);
    transition.begin(this.state, this.effects);
    return this.#followed();
  }

  /** The state as the next owner reads it. */
  takenOver(): Driver {
    const state = restore(this.state.plan, this.records(), ({ position }) => choiceOf(this.#nodes[position]!));
    return new Driver(this.#nodes, state, new Set(this.#failed), this.#generation).begin();
  }

  /** What storage would have: nothing of what nothing happened to. */
  records(): readonly TaskRecord[] {
    const { state } = this;
    const records: TaskRecord[] = [];
    state.forEach((instance) => {
      const status = state.status[instance]!;
      const inherited = state.expansionOf(instance);
      const generation = inherited === undefined ? 1 : state.generationOf(inherited.owner);
      const isUntouched = status === PENDING || (status === READY && state.attempts[instance] === 0);
      if (!isUntouched || state.generationOf(instance) > generation)
        records.push(taskRecord("run", state, instance, undefined, undefined, {}));
    });
    return records.sort((a, b) => a.position - b.position || a.index.length - b.index.length);
  }

  do(pick: number): void {
    const open = this.#open();
    if (open.length > 0) this.#go(open[pick % open.length]!);
  }

  finish(pick: number): void {
    for (let step = 0; this.state.open > 0; step++) {
      if (this.#open().length === 0) throw new Error(`nothing can be done any more:\n${facts(this.state).join("\n")}`);
      this.do(pick * 31 + step * 7);
    }
  }

  cancelAll(): void {
    transition.stop(this.state, "cancelled", this.effects);
    this.#followed();
  }

  #open(): number[] {
    const { state } = this;
    const open: number[] = [];
    state.forEach((instance, position) => {
      const status = state.status[instance]!;
      if (status !== READY && status !== RUNNING && status !== RETRYING) return;
      const isFrame = isGroupFrame(state, instance, position);
      if (isFrame ? status === RETRYING : !state.expansions.has(instance)) open.push(instance);
    });
    const name = (instance: number) => nameOf(state, instance);
    return open.sort((a, b) => (name(a) < name(b) ? -1 : 1));
  }

  #go(instance: number): void {
    const { state, effects } = this;
    const position = state.positionOf(instance);
    const node = this.#nodes[position]!;
    if (isGroupFrame(state, instance, position)) {
      transition.retryNow(state, instance);
      transition.resetGroup(state, instance, ++this.#generation);
      transition.enter(state, instance, effects);
    } else if (state.plan.starts[position] === START_LIST && !state.isItem(instance)) {
      const { stride, owner } = transition.expand(state, instance, node.items, effects);
      if (stride > 1) this.#advance(owner);
    } else this.#attempt(instance, node);
    this.#followed();
  }

  #attempt(instance: number, node: RandomNode): void {
    const { state, effects } = this;
    transition.start(state, instance);
    const name = nameOf(state, instance);
    const doing = node.doing[(state.indexOf(instance).at(-1) ?? 0) % node.doing.length];
    const fails = doing === "fail" || (doing === "flaky" && !this.#failed.has(name));
    if (doing === "flaky") this.#failed.add(name);
    if (doing === "skip") transition.skip(state, instance, effects);
    else if (fails) transition.fail(state, instance, effects);
    else transition.succeed(state, instance, effects, node.kind === "branch" ? choiceOf(node) : undefined);
  }

  #advance(owner: number): void {
    const limit = this.#nodes[this.state.positionOf(owner)]!.concurrency ?? Number.POSITIVE_INFINITY;
    transition.enterItems(this.state, owner, limit, this.effects);
  }

  #followed(): this {
    const { state, effects } = this;
    effects.finished.length = 0;
    effects.entered.length = 0;
    while (effects.abort.length + effects.failedGroups.length + effects.advanced.length > 0) {
      for (const instance of effects.abort.splice(0)) transition.cancelled(state, instance, effects);
      for (const group of effects.failedGroups.splice(0)) this.#groupFailed(group);
      for (const owner of effects.advanced.splice(0)) this.#advance(owner);
    }
    return this;
  }

  #groupFailed(group: number): void {
    const { state } = this;
    if (!this.#nodes[state.positionOf(group)]!.retried || state.stopping)
      return transition.fail(state, group, this.effects);
    state.groups.delete(group);
    transition.retryLater(state, group, 1);
  }
}

const nameOf = (state: RunState, instance: number) =>
  taskName(state.plan.tasks[state.positionOf(instance)]!.id, state.indexOf(instance));

/** All that decides how a run goes on. */
function facts(state: RunState): string[] {
  const lines: string[] = [`open ${state.open}`];
  state.forEach((instance) => {
    const at = instance * UPSTREAM_COUNTERS;
    // What has ended asks for its upstream no more.
    const counters = isFinal(state.status[instance]!) ? "" : state.upstream.slice(at, at + UPSTREAM_COUNTERS).join();
    const {
      base: _,
      owner: __,
      next: ___,
      ...expansion
    } = state.expansions.get(instance) ?? { base: 0, owner: 0, next: 0 };
    const rest = { expansion, group: state.groups.get(instance), choice: state.choices.get(instance) };
    const own = `${state.statusOf(instance)} @${state.generationOf(instance)} #${state.countedAttempts(instance)} ${counters}`;
    lines.push(`${nameOf(state, instance)} ${own} ${JSON.stringify(rest)}`);
  });
  return lines.sort();
}

const ends = (state: RunState): string[] => {
  const lines: string[] = [runOutcome(state, "any")];
  state.forEach((instance) => void lines.push(`${nameOf(state, instance)} ${state.statusOf(instance)}`));
  return lines.sort();
};

const begin = (nodes: readonly RandomNode[]) => {
  const { state } = begunStateOf(nodes);
  return new Driver(preorder(nodes), state).begin();
};

function begunStateOf(nodes: readonly RandomNode[]): { state: RunState } {
  const { plan } = randomPipelineOf(nodes);
  return { state: restore(plan, [], () => "") };
}

const steps = fc.array(fc.nat({ max: 1_000 }), { maxLength: 40 });

describe("the state of a run with groups", () => {
  it("F148 is the same when it is read from its records, at any moment", () => {
    fc.assert(
      fc.property(randomNodes, steps, fc.nat({ max: 1_000 }), (nodes, picks, pick) => {
        const driver = begin(nodes);
        for (const step of picks) {
          driver.do(step);
          expect(facts(driver.takenOver().state)).toEqual(facts(driver.state));
        }
        const other = driver.takenOver();
        driver.finish(pick);
        other.finish(pick);
        expect(ends(other.state)).toEqual(ends(driver.state));
      }),
      { numRuns: 300 },
    );
  });

  it("ends alike in whatever order its tasks do", () => {
    fc.assert(
      fc.property(randomNodes, fc.nat(), fc.nat(), (nodes, one, another) => {
        const drivers = [one, another].map((pick) => {
          const driver = begin(nodes);
          driver.finish(pick % 1_000);
          return ends(driver.state);
        });
        expect(drivers[1]).toEqual(drivers[0]);
      }),
      { numRuns: 300 },
    );
  });

  it("can be opened again when it failed or was cancelled: what succeeded stays, and all the rest can succeed", () => {
    fc.assert(
      fc.property(randomNodes, steps, fc.boolean(), fc.nat({ max: 1_000 }), (nodes, picks, isCancelled, pick) => {
        const driver = begin(nodes);
        for (const step of picks) driver.do(step);
        if (isCancelled) driver.cancelAll();
        driver.finish(pick);
        const before = new Map<number, number>();
        driver.state.forEach((instance, position) => {
          const isTask = driver.state.plan.tasks[position]!.kind !== "group";
          if (driver.state.statusOf(instance) === "succeeded" && isTask)
            before.set(instance, driver.state.attempts[instance]!);
        });
        reopen(driver.state, 1_000);
        const mended = preorder(nodes).map((node) => ({ ...node, doing: node.doing.map(() => "succeed" as const) }));
        const again = new Driver(mended, driver.state).begin();
        again.finish(pick);
        expect(runOutcome(again.state, "any"), facts(again.state).join("\n")).toBe("succeeded");
        for (const [instance, attempts] of before) {
          expect([again.state.statusOf(instance), again.state.attempts[instance]]).toEqual(["succeeded", attempts]);
        }
        again.state.forEach((instance) => void expect(isFinal(again.state.status[instance]!)).toBe(true));
      }),
      { numRuns: 300 },
    );
  });
});

describe("places in nested lists", () => {
  const nested = () =>
    begun((p) => {
      p.group("o", { over: [0] }, (g) => {
        g.task("a", () => 1);
        g.group("i", { over: [0] }, (h) => void h.map("m", { over: [0] }, () => 1));
        g.group("g", (h) => void h.task("b", () => 1));
      });
      p.task("z", () => 1);
    });

  it("have one number for each list, and are found by them", () => {
    const { state, effects } = nested();
    const at = (id: string, ...index: number[]) => state.instanceAt(state.plan.positions.get(id)!, index);
    transition.expand(state, at("o")!, 2, effects);
    transition.enterItems(state, at("o")!, 2, effects);
    transition.expand(state, at("o.i", 1)!, 3, effects);
    transition.enterItems(state, at("o.i", 1)!, 3, effects);
    transition.expand(state, at("o.i.m", 1, 2)!, 2, effects);
    const places: [string, number[]][] = [
      ["o", [1]],
      ["o.a", [1]],
      ["o.i", [1]],
      ["o.i", [1, 2]],
      ["o.i.m", [1, 2]],
      ["o.i.m", [1, 2, 1]],
      ["o.g", [0]],
      ["o.g.b", [0]],
    ];
    for (const [id, index] of places) {
      const instance = at(id, ...index)!;
      expect(nameOf(state, instance)).toBe(taskName(id, index));
      expect(state.indexOf(instance)).toEqual(index);
    }
    const around = (instance: number): string[] =>
      instance < 0 ? [] : [nameOf(state, instance), ...around(state.parentOf(instance))];
    expect(around(at("o.i.m", 1, 2, 1)!)).toEqual([
      "o.i.m[1][2][1]",
      "o.i.m[1][2]",
      "o.i[1][2]",
      "o.i[1]",
      "o[1]",
      "o",
    ]);
    expect(around(at("o.g.b", 0)!)).toEqual(["o.g.b[0]", "o.g[0]", "o[0]", "o"]);
    for (const [id, ...index] of [
      ["o", 2],
      ["o.a", 2],
      ["o.i", 0, 0],
      ["o.i.m", 1, 3],
      ["o.i.m", 1, 2, 2],
    ] as const) {
      expect(at(id as string, ...(index as number[]))).toBeUndefined();
    }
  });

  it("are gone with the list they stand in", () => {
    const { state, effects } = nested();
    const o = state.plan.positions.get("o")!;
    const i = state.plan.positions.get("o.i")!;
    transition.expand(state, o, 1, effects);
    transition.enterItems(state, o, 1, effects);
    const inner = state.instanceAt(i, [0])!;
    transition.expand(state, inner, 2, effects);
    const item = state.instanceAt(i, [0, 1])!;
    expect(state.isCurrent(item)).toBe(true);
    transition.resetInstance(state, o, 2);
    expect(state.isCurrent(item)).toBe(false);
    expect(state.expansions.size).toBe(0);
    transition.expand(state, o, 1, effects);
    expect(state.instanceAt(i, [0])).not.toBe(inner);
    expect(state.generationOf(state.instanceAt(i, [0])!)).toBe(2);
  });
});
