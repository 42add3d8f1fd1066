import type { Pipeline } from "../define/pipeline.js";

/** The pipelines a module exports, each once: by name, as default, in lists, or in an object exported as default. */
export function findPipelines(exports: Readonly<Record<string, unknown>>): readonly Pipeline[] {
  if (isPipeline(exports)) return [exports]; // module.exports = pipeline(…)
  const found = new Set<Pipeline>();
  for (const [name, value] of Object.entries(exports)) {
    for (const candidate of candidates(name, value)) if (isPipeline(candidate)) found.add(candidate);
  }
  return [...found];
}

/** The pipelines, and those that they run. */
export function withSubPipelines(pipelines: readonly Pipeline[]): readonly Pipeline[] {
  const all = new Set(pipelines);
  for (const { plan } of all) for (const { extra } of plan.tasks) if (extra.child) all.add(extra.child);
  return [...all];
}

function candidates(name: string, value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  const isBag = name === "default" && typeof value === "object" && value !== null && !isPipeline(value);
  return isBag ? Object.values(value).flat() : [value];
}

/** By its shape: a module's own copy of this library has its own classes. */
function isPipeline(value: unknown): value is Pipeline {
  if (!isObject(value)) return false;
  const { id, plan, hash, settings } = value as Partial<Record<keyof Pipeline, unknown>>;
  return typeof id === "string" && typeof hash === "string" && isObject(plan) && isObject(settings);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
