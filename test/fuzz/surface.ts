import * as weftline from "weftline";
import { createEngine, pipeline } from "weftline";

/** What builders and contexts have that their types do not show: for this library's own use. */
const INTERNAL: ReadonlySet<string> = new Set([
  "Builder.addWithNeeds",
  "Schedules.register",
  "Schedules.nextDue",
  "Schedules.fireDue",
  "Runs.host",
  "Runs.pipelineOf",
]);

/** The name of every way into the library: what it exports, and the members of what these give. */
export async function entryPoints(): Promise<readonly string[]> {
  const exported = Object.entries(weftline).filter(([, value]) => !isConstant(value));
  const names = exported.map(([name]) => `weftline.${name}`);
  let builder: object = {};
  let context: object = {};
  const made = pipeline("surface", (p) => {
    builder = p;
    p.task("context", (given) => {
      context = given;
    });
  });
  const engine = createEngine({ pipelines: [made], log: { debug() {}, info() {}, warn() {}, error() {} } });
  try {
    await engine.start();
    const handle = await engine.trigger(made, {});
    await handle.result();
    names.push(
      ...membersOf("Builder", builder),
      ...membersOf("TaskContext", context),
      ...membersOf("Engine", engine).filter((name) => name !== "Engine.runs" && name !== "Engine.schedules"),
      ...membersOf("Runs", engine.runs),
      ...membersOf("Schedules", engine.schedules),
      ...membersOf("RunHandle", handle),
    );
  } finally {
    await engine.stop({ grace: 0 });
  }
  return names.filter((name) => !INTERNAL.has(name)).sort();
}

/** Lists of names: there is nothing to call. */
function isConstant(value: unknown): boolean {
  return Array.isArray(value);
}

function membersOf(owner: string, object: object): string[] {
  const names = new Set<string>();
  for (
    let at: object | null = object;
    at !== null && at !== Object.prototype;
    at = Object.getPrototypeOf(at) as object
  ) {
    for (const name of Object.getOwnPropertyNames(at)) if (name !== "constructor") names.add(`${owner}.${name}`);
  }
  return [...names];
}
