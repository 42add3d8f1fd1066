/** Kinds of what may be under way because of this thread's own business. */
const OWN: ReadonlySet<string> = new Set(["MessagePort", "Immediate"]);

/** What keeps the event loop of this thread busy, against what did before the first task. */
export class Leftovers {
  readonly #before: ReadonlyMap<string, number>;

  constructor() {
    this.#before = counted();
  }

  /** In words what there is now that was not there before; `undefined`: nothing. */
  find(): string | undefined {
    const names = process.getActiveResourcesInfo();
    // Only itself, as a rule: that is known at a glance.
    if (names.length <= 1 && (names.length === 0 || OWN.has(names[0]!))) return undefined;
    const more: string[] = [];
    for (const [name, now] of count(names)) {
      const left = now - (this.#before.get(name) ?? 0);
      if (left > 0) more.push(left === 1 ? name : `${left} × ${name}`);
    }
    return more.length === 0 ? undefined : more.join(", ");
  }
}

function counted(): ReadonlyMap<string, number> {
  return count(process.getActiveResourcesInfo());
}

function count(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) if (!OWN.has(name)) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}
