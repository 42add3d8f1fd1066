/** What processes run: the same functions for Weftline and for a bare pool of processes. */
import { type Node, type Pipeline, pipeline } from "weftline";

export interface ProcessesParams {
  readonly items: number;
}

/** Takes what it is given, as the params here need no check. */
const PARAMS = {
  "~standard": {
    version: 1,
    vendor: "bench",
    validate: (value: unknown) => ({ value: value as ProcessesParams }),
    types: undefined as { readonly input: ProcessesParams; readonly output: ProcessesParams } | undefined,
  },
} as const;

const BUSY_MS = 1;

export const WORK = {
  "no-op": (item: number): number => item,
  "1 ms": (item: number): number => {
    const end = performance.now() + BUSY_MS;
    while (performance.now() < end);
    return item;
  },
} as const;
export type WorkName = keyof typeof WORK;

/** One task that does nothing. */
export const single: Pipeline<Record<never, never>, { readonly only: number }> = pipeline("processes-single", (p) => ({
  only: p.task("only", () => WORK["no-op"](1)),
}));

/** By the name of the work: one map over as many items as the params say. */
export const maps: readonly Pipeline<ProcessesParams, unknown>[] = (Object.keys(WORK) as WorkName[]).map((name) =>
  pipeline(mapId(name), { params: PARAMS }, (p) => {
    const list: Node<number[]> = p.task("list", { executor: "host" }, ({ params }) =>
      Array.from({ length: params.items }, (_, item) => item),
    );
    p.map("map", { over: list, maxItems: 1_000_000 }, ({ item }) => WORK[name](item));
  }),
);

export function mapId(name: WorkName): string {
  return `processes-${name.replace(" ", "-")}`;
}
