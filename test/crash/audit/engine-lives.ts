import type { LeaseChanged } from "@weftline/testing";
import type { Unnumbered } from "./audited-history.js";
import type { Change } from "./change.js";

type Row = Change & { readonly kind: "engine" };

/** What becomes of engines and their leases, told from their rows. */
export class EngineLives {
  readonly #leaseMs: number;
  readonly #tell: (event: Unnumbered<LeaseChanged>) => void;
  readonly #states = new Map<string, "alive" | "stopped" | "dead">();
  /** An engine that was forgotten, and whose runs will show whether it had died. */
  #ending: string | undefined;

  constructor(leaseMs: number, tell: (event: Unnumbered<LeaseChanged>) => void) {
    this.#leaseMs = leaseMs;
    this.#tell = tell;
  }

  /** All there ever were. */
  get ids(): readonly string[] {
    return [...this.#states.keys()];
  }

  isAlive(engine: string): boolean {
    return this.#states.get(engine) === "alive";
  }

  /** Its row was written. */
  held({ id: engine, leaseUntil: until, change, at }: Row): void {
    const before = this.#states.get(engine);
    this.#states.set(engine, "alive");
    const isKnown = change === "U" || before === "alive";
    const kind: LeaseChanged["change"] = isKnown ? "renewed" : before === "dead" ? "lost" : "registered";
    // The moment from which the store itself counted.
    this.#tell({ type: "lease", engine, change: kind, until, at: Math.min(at, until - this.#leaseMs) });
  }

  /**
   * Its row was deleted. That it died is no event: the checker tells that from the lease when somebody takes its runs up,
   * and so sees when the lease held still.
   */
  forgotten({ id: engine, isRelease, at }: Row): void {
    this.#ending = isRelease === undefined ? engine : undefined;
    this.#states.set(engine, "dead");
    if (isRelease) this.#stopped(engine, at);
  }

  /** A run of it that was `running` has no owner any more. @param isCrash - That was counted as a crash. */
  gaveBack(engine: string, isCrash: boolean, at: number): void {
    if (engine === this.#ending && !isCrash) this.#stopped(engine, at);
  }

  #stopped(engine: string, at: number): void {
    this.#ending = undefined;
    this.#states.set(engine, "stopped");
    this.#tell({ type: "lease", engine, change: "released", until: undefined, at });
  }
}
