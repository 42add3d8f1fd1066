import { TRIGGER_RULES, type TriggerRule } from "weftline";
import type { Dice } from "./dice.js";
import type { Doing, Mood, NodeKind, NodeSpec, PipelineSpec, RetrySpec } from "./world.js";

/** Rules that skip only what comes after something skipped. */
const NEVER_SKIPPING: readonly TriggerRule[] = [
  "all-success",
  "all-done",
  "none-skipped",
  "one-success",
  "none-failed",
  "always",
];
const MAX_DEPTH = 2;

type Topology = "chain" | "diamond" | "fan" | "random";

interface Style {
  readonly mood: Mood;
  readonly topology: Topology;
  /** No waits: a scheduled run has to end before the next one. */
  readonly isQuick: boolean;
  readonly depth: number;
  /** All of it is tried again together until nothing fails. */
  readonly isMended: boolean;
}

export function drawPipeline(dice: Dice, id: string): PipelineSpec {
  const mood = dice.weighted<Mood>({ failing: 5, skipping: 4, wild: 1 });
  const topology = dice.pick<Topology>(["chain", "diamond", "fan", "random", "random"]);
  const isQuick = dice.chance(0.15);
  const isWild = mood === "wild";
  const style: Style = { mood, topology, isQuick, depth: 0, isMended: false };
  return {
    id,
    mood,
    nodes: drawNodes(dice, style, dice.int(1, isQuick ? 3 : 7)),
    failFast: isWild && dice.chance(0.5),
    failWhen: isWild && dice.chance(0.5) ? "leaves" : "any",
    timeoutMs: isWild && dice.chance(0.3) ? dice.int(2_000, 20_000) : undefined,
    everyMs: isQuick ? dice.pick([15_000, 20_000, 30_000]) : undefined,
    maxActiveRuns: !isQuick && dice.chance(0.1) ? dice.int(1, 2) : undefined,
  };
}

function drawNodes(dice: Dice, style: Style, count: number): NodeSpec[] {
  return dice.times(count, (place) => drawNode(dice, style, place));
}

function drawNode(dice: Dice, style: Style, place: number): NodeSpec {
  const kind = drawKind(dice, style);
  const isMended = style.isMended || ((kind === "group" || kind === "mapped") && dice.chance(0.3) && isMendable(style));
  const doing = drawDoings(dice, style, kind);
  const hangs = doing.includes("hang");
  const tasklike = kind === "task" || kind === "map";
  const inner = { ...style, depth: style.depth + 1, topology: "random", isMended } as const;
  const hasInside = kind === "group" || kind === "mapped" || kind === "run";
  const retry = drawRetry(dice, { doing, kind, isMended, isInMended: style.isMended });
  // It fails again and again until its time is up.
  const isDoomed = tasklike && !style.isMended && !style.isQuick && style.mood === "failing" && dice.chance(0.08);
  return {
    kind,
    rule: drawRule(dice, style),
    allowFailure: !style.isMended && dice.chance(0.12),
    upstream:
      style.depth > 0 ? dice.times(dice.int(0, 2), () => dice.int(0, 20)) : drawUpstream(dice, style.topology, place),
    doing: isDoomed ? ["fail"] : doing,
    failures: dice.int(1, 2),
    workMs: drawWork(dice, style, kind),
    isStubborn: hangs && dice.chance(0.1),
    steps: tasklike && dice.chance(0.2) ? dice.int(1, 3) : 0,
    logs: dice.chance(0.3) ? dice.int(1, 2) : 0,
    items: style.mood === "skipping" && dice.chance(0.15) ? 0 : dice.int(1, 4),
    fromList: dice.chance(0.4),
    choice: dice.pick(["left", "right"]),
    retry: isDoomed ? { attempts: 1_000, delayMs: dice.int(200, 1_500), backoff: "fixed" } : retry,
    timeoutMs: hangs && !isDoomed ? dice.int(200, 2_000) : undefined,
    totalMs: isDoomed ? dice.int(4_000, 20_000) : undefined,
    concurrency: dice.chance(0.15) ? dice.int(1, 2) : undefined,
    slots: tasklike && dice.chance(0.15) ? dice.int(1, 2) : undefined,
    hasKey: dice.chance(0.3),
    inside: hasInside ? drawNodes(dice, inner, dice.int(1, 3)) : [],
  };
}

function isMendable({ mood }: Style): boolean {
  return mood !== "wild";
}

function drawKind(dice: Dice, { mood, isQuick, depth }: Style): NodeKind {
  const waits = isQuick || depth > 1 ? 0 : 1;
  const groups = isQuick || depth >= MAX_DEPTH ? 0 : 1;
  return dice.weighted<NodeKind>({
    task: 9,
    map: 3,
    branch: mood === "failing" ? 0 : 2,
    sleep: 1.5 * waits,
    poll: 0.7 * waits,
    signal: depth === 0 ? 0.7 * waits : 0,
    group: groups,
    mapped: groups,
    run: depth === 0 && !isQuick ? 0.5 : 0,
  });
}

function drawDoings(dice: Dice, { mood, isMended, isQuick }: Style, kind: NodeKind): Doing[] {
  if (kind !== "task" && kind !== "map") return ["succeed"];
  const weights: Record<Doing, number> = {
    succeed: 12,
    flaky: isMended || mood !== "skipping" ? 4 : 0,
    fail: isMended || mood === "skipping" ? 0 : 1,
    hang: isMended || isQuick || mood === "skipping" ? 0 : 0.7,
    unstorable: isMended || mood === "skipping" ? 0 : 0.7,
    skip: mood === "failing" ? 0 : 2,
  };
  return dice.times(kind === "map" ? dice.int(1, 3) : 1, () => dice.weighted(weights));
}

interface Tried {
  readonly doing: readonly Doing[];
  readonly kind: NodeKind;
  readonly isMended: boolean;
  readonly isInMended: boolean;
}

function drawRetry(dice: Dice, { doing, kind, isMended, isInMended }: Tried): RetrySpec | undefined {
  if (kind === "mapped" || kind === "group") {
    return isMended && !isInMended ? { attempts: 100, delayMs: 0, backoff: "fixed" } : undefined;
  }
  const isFlaky = doing.includes("flaky");
  if (isFlaky && isInMended && dice.chance(0.5)) return undefined;
  if (!isFlaky && !dice.chance(0.4)) return undefined;
  const backoff = dice.pick(["fixed", "linear", "exponential"] as const);
  return { attempts: dice.int(3, 4), delayMs: dice.pick([0, 100, 1_000]), backoff };
}

function drawRule(dice: Dice, { mood }: Style): TriggerRule {
  if (dice.chance(0.7)) return "all-success";
  return dice.pick(mood === "failing" ? NEVER_SKIPPING : TRIGGER_RULES);
}

/** The order in which they are named does not matter; each is named once. */
function drawUpstream(dice: Dice, topology: Topology, place: number): number[] {
  if (place === 0) return [];
  if (topology === "chain") return [place - 1];
  if (topology === "fan") return place === 1 ? [0] : dice.chance(0.25) ? dice.times(place - 1, (n) => n + 1) : [0];
  if (topology === "diamond") return place % 3 === 0 ? [place - 2, place - 1] : [place - (place % 3)];
  return [...new Set(dice.times(dice.int(0, 3), () => dice.int(0, place - 1)))];
}

function drawWork(dice: Dice, { isQuick }: Style, kind: NodeKind): number {
  if (kind === "sleep") return dice.pick([200, 1_500, dice.int(3_000, 25_000)]);
  if (kind === "poll") return dice.int(200, 3_000);
  const short = dice.pick([0, 0, 1, 10, 100]);
  return isQuick || dice.chance(0.6) ? short : dice.int(200, 6_000);
}
