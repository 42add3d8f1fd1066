import { decode, type Encoded, type RunRecord, taskName } from "weftline";
import { NO_FAULTS } from "../faults.js";
import type { FinalRun } from "../history-checker/history.js";
import type { Played } from "./simulation.js";
import { play } from "./simulation.js";
import { withoutMakers } from "./task-code.js";
import type { NodeSpec, PipelineSpec, RunSpec, World } from "./world.js";

/** A run that did not end as it does where nothing goes wrong. */
export interface Mismatch {
  readonly runId: string;
  readonly why: string;
}

/** By pipeline and token: how the run ends where nothing goes wrong. */
export type Reference = ReadonlyMap<string, FinalRun>;

/** Plays those runs of a world whose ends are determined once more, on one engine to which nothing happens. */
export async function referenceOf(played: Played): Promise<Reference> {
  const { world } = played;
  const runs = new Map<string, RunSpec>();
  for (const { run } of determined(played)) {
    const pipeline = world.pipelines.findIndex(({ id }) => id === run.pipeline);
    const token = tokenOf(run);
    runs.set(nameOf(run), { token, pipeline, at: 10, slot: 0, key: undefined, priority: 0 });
  }
  const calm = await play(calmWorld(world, [...runs.values()]));
  return new Map(calm.evidence.final!.runs.filter(({ run }) => !isProbe(run)).map((run) => [nameOf(run.run), run]));
}

/** @returns What ended otherwise than in the reference. */
export function compare(played: Played, reference: Reference): Mismatch[] {
  const found: Mismatch[] = [];
  for (const final of determined(played)) {
    const expected = reference.get(nameOf(final.run));
    const why = expected === undefined ? "the reference run did not end" : difference(final, expected);
    if (why !== undefined) found.push({ runId: final.run.id, why });
  }
  return found;
}

function calmWorld(world: World, runs: readonly RunSpec[]): World {
  return {
    ...world,
    slots: [{ startsAt: 0, skewMs: 0, concurrency: 64 }],
    latencyMs: 0,
    durable: false,
    notify: true,
    faults: NO_FAULTS,
    late: undefined,
    dropsVersions: false,
    faultsMs: 1_000,
    pipelines: world.pipelines.map((spec): PipelineSpec => ({ ...spec, everyMs: undefined, maxActiveRuns: undefined })),
    runs,
    calls: [],
    mishaps: [],
  };
}

/** The runs whose end nothing but their pipeline decides. */
function determined({ world, evidence, meddled }: Played): readonly FinalRun[] {
  const wild = new Set(world.pipelines.filter((spec) => isWild(spec, world)).map(({ id }) => id));
  const { runs } = evidence.final!;
  // Whoever waits for a run that was quarantined fails.
  const failed = parentsOf(runs.map(({ run }) => run));
  return runs.filter(({ run }) => {
    if (run.parent !== undefined || isProbe(run) || wild.has(run.pipeline)) return false;
    return !meddled.has(run.id) && run.status !== "quarantined" && !failed.has(run.id);
  });
}

/** A step, or a look into the cache, that waits for a slow store may use up the time of its attempt, whatever it does itself. */
function isWild({ mood, nodes }: PipelineSpec, { faults, late }: World): boolean {
  const waitsInVain = ({ steps, cache, timeoutMs, inside }: NodeSpec): boolean =>
    ((steps > 0 || cache !== undefined) && timeoutMs !== undefined) || inside.some(waitsInVain);
  return mood === "wild" || ((faults !== NO_FAULTS || late !== undefined) && nodes.some(waitsInVain));
}

/** Of the runs that were quarantined: those that had started them, and those that had started these. */
function parentsOf(runs: readonly RunRecord[]): ReadonlySet<string> {
  const byId = new Map(runs.map((run) => [run.id, run]));
  const found = new Set<string>();
  for (const { status, parent } of runs) {
    if (status !== "quarantined") continue;
    for (let id = parent?.runId; id !== undefined; id = byId.get(id)?.parent?.runId) found.add(id);
  }
  return found;
}

function isProbe({ pipeline }: RunRecord): boolean {
  return pipeline === "probe";
}

function nameOf(run: RunRecord): string {
  return `${run.pipeline}/${tokenOf(run)}`;
}

function tokenOf({ params }: RunRecord): string {
  return (decode(params as Encoded) as { readonly token: string }).token;
}

function difference({ run, tasks }: FinalRun, expected: FinalRun): string | undefined {
  if (run.status !== expected.run.status) return `it ended ${run.status}, and in the reference ${expected.run.status}`;
  const [here, there] = [ends(tasks), ends(expected.tasks)];
  for (const name of new Set([...here.keys(), ...there.keys()])) {
    // A task of a later version.
    if (name.startsWith("added")) continue;
    const [end = "nothing", wanted = "nothing"] = [here.get(name), there.get(name)];
    if (end !== wanted) return `task "${name}" ended with ${end}, and in the reference with ${wanted}`;
  }
  return undefined;
}

/** By task or item: its status and output in its last generation. */
function ends(tasks: FinalRun["tasks"]): ReadonlyMap<string, string> {
  const newest = new Map<string, (typeof tasks)[number]>();
  for (const record of tasks) {
    const name = taskName(record.task, record.index);
    if ((newest.get(name)?.generation ?? 0) <= record.generation) newest.set(name, record);
  }
  return new Map([...newest].map(([name, { status, output = "" }]) => [name, `${status} ${comparable(output)}`]));
}

function comparable(output: string): string {
  return output.includes('"made"') ? withoutMakers(decode(output as Encoded)) : output;
}
