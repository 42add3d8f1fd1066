import type { ClientCall, Fault, HistoryEvent, WitnessLine } from "./history.js";

/** Anything in the evidence that speaks for a violation. */
export type Exhibit = HistoryEvent | WitnessLine | ClientCall | Fault;

export interface Violation {
  /** 1 to 49. */
  readonly invariant: number;
  /** `suspect`: it may have an innocent cause that the evidence cannot tell. */
  readonly severity: "violation" | "suspect";
  /** `undefined`: it concerns no single run. */
  readonly runId: string | undefined;
  readonly events: readonly Exhibit[];
  readonly why: string;
}

/** More of one kind say nothing new, and a broken engine makes them by the thousand. */
const MAX_PER_INVARIANT = 20;
export const LAST_INVARIANT = 49;

/** Collects what the checks find, and how often each invariant was really looked at. */
export class Report {
  readonly violations: Violation[] = [];
  readonly times = new Int32Array(LAST_INVARIANT + 1);
  readonly #found = new Int32Array(LAST_INVARIANT + 1);
  readonly #reasons = new Map<number, string>();

  /** The invariant was held against one thing, or several. */
  checked(invariant: number, times = 1): void {
    this.times[invariant]! += times;
  }

  violated(
    invariant: number,
    runId: string | undefined,
    why: string,
    ...events: readonly (Exhibit | undefined)[]
  ): void {
    this.#add("violation", invariant, runId, why, events);
  }

  suspected(
    invariant: number,
    runId: string | undefined,
    why: string,
    ...events: readonly (Exhibit | undefined)[]
  ): void {
    this.#add("suspect", invariant, runId, why, events);
  }

  /** Why the invariant cannot be checked here; the first reason stays. */
  cannot(invariants: readonly number[], why: string): void {
    for (const invariant of invariants) if (!this.#reasons.has(invariant)) this.#reasons.set(invariant, why);
  }

  whyNot(invariant: number): string {
    return this.#reasons.get(invariant) ?? "the evidence holds nothing to check it on";
  }

  #add(
    severity: Violation["severity"],
    invariant: number,
    runId: string | undefined,
    why: string,
    events: readonly (Exhibit | undefined)[],
  ): void {
    if (++this.#found[invariant]! > MAX_PER_INVARIANT) return;
    const known = events.filter((event) => event !== undefined);
    this.violations.push({ invariant, severity, runId, events: known, why });
  }
}
