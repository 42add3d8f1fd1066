/** 36: no more at once than the limits say, but for those of owners that something had happened to. */
import type { Execution } from "./executions.js";
import type { Report } from "./report.js";
import type { RunModel } from "./run-model.js";
import { groupBy, OWNER_FAULTS, type World } from "./world.js";

interface Limited {
  readonly execution: Execution;
  readonly slots: number;
}

export function checkLimits(world: World, executions: ReadonlyMap<string, readonly Execution[]>, report: Report): void {
  const all: Execution[] = [];
  const limited = new Map<string, { readonly limit: number; readonly what: string; readonly members: Limited[] }>();
  const add = (key: string, limit: number, what: string, execution: Execution, slots = 1): void => {
    const group = limited.get(key);
    if (group === undefined) limited.set(key, { limit, what, members: [{ execution, slots }] });
    else group.members.push({ execution, slots });
  };
  for (const [runId, own] of executions) {
    const run = world.runs.get(runId);
    for (const execution of own) {
      if (execution.engine === undefined || wasAbandoned(run, execution)) continue;
      all.push(execution);
      const position = run?.shape?.positions.get(execution.task);
      if (position === undefined) continue;
      const { id, kind, concurrency, pool, slots } = run!.shape!.tasks[position]!;
      const { pipeline } = run!.shape!.shape;
      if (concurrency !== undefined) {
        const list = kind === "map" ? `${runId}/${execution.index.slice(0, -1).join(".")}` : "";
        add(`${execution.engine} ${pipeline}/${id} ${list}`, concurrency, `"${id}"`, execution);
      }
      const size = pool === undefined ? undefined : world.settings.pools?.[pool];
      if (size !== undefined) add(`${execution.engine} pool ${pool}`, size, `pool "${pool}"`, execution, slots);
    }
  }
  for (const { limit, what, members } of limited.values()) checkAtOnce(world, limit, what, members, report);
  const { concurrency } = world.settings;
  if (concurrency === undefined) return;
  for (const [engine, own] of groupBy(all, (execution) => execution.engine!)) {
    checkAtOnce(
      world,
      concurrency,
      engine,
      own.map((execution) => ({ execution, slots: 1 })),
      report,
    );
  }
}

/** Code that ignores its signal keeps its slot; what it holds is not the limit's to say. */
function wasAbandoned(run: RunModel | undefined, { task, index, generation, attempt }: Execution): boolean {
  return run?.at(task, index, generation)?.attempts.get(attempt)?.record.status === "abandoned";
}

function checkAtOnce(world: World, limit: number, what: string, members: readonly Limited[], report: Report): void {
  const edges: { readonly at: number; readonly seq: number; readonly change: number; readonly execution: Execution }[] =
    [];
  for (const { execution, slots } of members) {
    const { start, end, over } = execution;
    edges.push({ at: start.at, seq: start.seq ?? 0, change: slots, execution });
    if (over !== undefined) edges.push({ at: over, seq: end?.seq ?? 0, change: -slots, execution });
  }
  // At one moment what ends makes room for what starts.
  edges.sort((a, b) => (a.seq > 0 && b.seq > 0 ? a.seq - b.seq : a.at - b.at || a.change - b.change));
  let active = 0;
  for (const { change, execution } of edges) {
    active += change;
    if (change < 0) continue;
    report.checked(36);
    if (active <= limit) continue;
    const { start, engine } = execution;
    if (world.faults(engine, start.at - world.bounds.leaseMs, start.at, OWNER_FAULTS).length > 0) continue;
    report.violated(36, start.runId, `${active} at once of ${what} on ${engine}, and ${limit} may be`, start);
  }
}
