/** What threads run: the same functions for Weftline and for bare piscina. */
import { type Node, type Pipeline, pipeline } from "weftline";

export interface ThreadsParams {
  readonly items: number;
}

/** Takes what it is given, as the params here need no check. */
const PARAMS = {
  "~standard": {
    version: 1,
    vendor: "bench",
    validate: (value: unknown) => ({ value: value as ThreadsParams }),
    types: undefined as { readonly input: ThreadsParams; readonly output: ThreadsParams } | undefined,
  },
} as const;

export const WORK = { "no-op": noOp, "1 ms": busyFor1, "50 ms": busyFor50 } as const;
export type WorkName = keyof typeof WORK;

export function noOp(item: number): number {
  return item;
}

export function busyFor1(item: number): number {
  return busy(1, item);
}

export function busyFor50(item: number): number {
  return busy(50, item);
}

function busy(ms: number, item: number): number {
  const end = performance.now() + ms;
  while (performance.now() < end);
  return item;
}

export function pipelineId(work: WorkName): string {
  return `threads-${work.replaceAll(" ", "-")}`;
}

/** By the name of the work: one map over as many items as the params say. */
export const pipelines: readonly Pipeline<ThreadsParams, unknown>[] = (Object.keys(WORK) as WorkName[]).map((name) =>
  pipeline(pipelineId(name), { params: PARAMS }, (p) => {
    const list: Node<number[]> = p.task("list", ({ params }) =>
      Array.from({ length: params.items }, (_, item) => item),
    );
    p.map("map", { over: list, maxItems: 1_000_000 }, ({ item }) => WORK[name](item));
  }),
);
