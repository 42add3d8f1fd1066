import type { EngineRecord, Health, HealthReason, HealthStatus, ScheduleRecord } from "weftline";
import { count, duration, moment, plainLine, shortList } from "./text.js";

/** What storage shows of the engines that work on it, for who runs none himself. */
export interface FleetHealth extends Pick<Health, "survey"> {
  readonly status: HealthStatus;
  /** The worst first. */
  readonly reasons: readonly FleetReason[];
  /** Quarantined runs, the newest first; no more of them than were asked for. */
  readonly quarantined: readonly string[];
}

export interface FleetReason extends Omit<HealthReason, "kind"> {
  readonly kind: HealthReason["kind"] | "no-engine" | "silent-engine" | "schedule" | "schema";
}

export interface FleetFacts {
  /** Of an engine that was not started. */
  readonly health: Pick<Health, "reasons" | "survey">;
  readonly schedules: readonly ScheduleRecord[];
  readonly quarantined: readonly string[];
}

/** What has been due for longer, or silent with runs of its own, nobody cares for, in milliseconds. */
const PATIENCE_MS = 60_000;
const MAX_NAMES = 3;

export function fleetHealth({ health, schedules, quarantined }: FleetFacts): FleetHealth {
  const { survey } = health;
  // It says so of the engine by which the command reads; whether others run is in storage.
  const reasons: FleetReason[] = health.reasons.filter(({ kind }) => kind !== "not-running");
  if (survey !== undefined) {
    const { storeNow, engines } = survey;
    const late = schedules.filter(({ nextAt }) => nextAt !== undefined && storeNow - nextAt > PATIENCE_MS);
    const isAnyAlive = engines.some((engine) => isAlive(engine, storeNow));
    if (isAnyAlive) reasons.push(...silentEngines(engines, storeNow), ...lateSchedules(late, storeNow));
    else return { ...judged(withoutEngine(reasons, survey, late)), survey, quarantined };
  }
  return { ...judged(reasons), survey, quarantined };
}

/** Health of a storage that cannot even be asked. */
export function unusable(reason: Omit<FleetReason, "status">): FleetHealth {
  return { ...judged([{ status: "red", ...reason }]), survey: undefined, quarantined: [] };
}

export function isAlive({ leaseUntil }: EngineRecord, storeNow: number): boolean {
  return leaseUntil > storeNow;
}

function judged(reasons: readonly FleetReason[]): Pick<FleetHealth, "status" | "reasons"> {
  const worst = [...reasons].sort((a, b) => RANK[a.status] - RANK[b.status]);
  return { status: worst[0]?.status ?? "green", reasons: worst };
}

const RANK = { red: 0, degraded: 1 };

/** Where no engine lives, that is what is wrong; but only if one is needed. */
function withoutEngine(
  reasons: readonly FleetReason[],
  { engines, unadoptable }: NonNullable<Health["survey"]>,
  late: readonly ScheduleRecord[],
): readonly FleetReason[] {
  const others = reasons.filter(({ kind }) => kind !== "unadoptable" && kind !== "backlog");
  const runs = sum(unadoptable) + sum(engines);
  const waiting = [
    ...(runs > 0 ? [`${count(runs, "run")} ${runs === 1 ? "waits" : "wait"} for one`] : []),
    ...(late.length > 0 ? [`${namesOf(late)} should have fired`] : []),
  ];
  if (waiting.length === 0) return others;
  const message = `No engine is alive, and ${waiting.join(", and ")}. Start one, or go on with a run by hand: weftline resume.`;
  return [...others, { status: "red", kind: "no-engine", message }];
}

function silentEngines(engines: readonly EngineRecord[], storeNow: number): readonly FleetReason[] {
  return engines
    .filter(({ runs, leaseUntil }) => runs > 0 && storeNow - leaseUntil > PATIENCE_MS)
    .map(({ id, runs, leaseUntil }) => ({
      status: "degraded",
      kind: "silent-engine",
      message: `Engine ${plainLine(id)} has been silent for ${duration(storeNow - leaseUntil)}, and nobody has taken over ${count(runs, "run")} of it. Look at the logs of the engines that live.`,
    }));
}

function lateSchedules(late: readonly ScheduleRecord[], storeNow: number): readonly FleetReason[] {
  return late.map(({ id, nextAt }) => ({
    status: "degraded",
    kind: "schedule",
    message: `Schedule ${plainLine(id)} should have fired at ${moment(nextAt!)}, ${duration(storeNow - nextAt!)} ago. Start an engine that has its pipeline.`,
  }));
}

function namesOf(schedules: readonly ScheduleRecord[]): string {
  const names = shortList(
    schedules.map(({ id }) => plainLine(id)),
    MAX_NAMES,
  );
  return `${schedules.length === 1 ? "schedule" : "schedules"} ${names}`;
}

function sum(parts: readonly { readonly runs: number }[]): number {
  return parts.reduce((total, { runs }) => total + runs, 0);
}
