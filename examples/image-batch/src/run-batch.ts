import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { createEngine } from "weftline";
import { EXECUTORS, type ExecutorName } from "./executors.js";
import { imageBatch, type Photograph } from "./pipeline.js";

export interface Batch {
  readonly photographs: readonly Photograph[];
  /** From the trigger to the result; the start of the engine and its first worker not included. */
  readonly seconds: number;
  /** Of the engine's own event loop meanwhile: what other requests of its process would have waited, in milliseconds. */
  readonly delay: { readonly p50: number; readonly max: number };
}

export interface BatchOptions {
  readonly executor: ExecutorName;
  /** Where the workers find the pipeline. */
  readonly module: URL;
  readonly folder: string;
  readonly photographs?: readonly string[];
  readonly widths?: readonly number[];
  readonly onPhotograph?: (done: number) => void;
}

/** Runs the batch once. */
export async function runBatch(options: BatchOptions): Promise<Batch> {
  const { executor, module, folder, onPhotograph, photographs, widths } = options;
  const engine = createEngine({ pipelines: [imageBatch], executors: { cpu: EXECUTORS[executor](module) } });
  await engine.start();
  const delays = monitorEventLoopDelay({ resolution: 5 });
  try {
    let done = 0;
    engine.on("task:finished", ({ task, index, status }) => {
      if (task === "photograph" && index.length > 0 && status === "succeeded") onPhotograph?.(++done);
    });
    delays.enable();
    const begun = performance.now();
    const result = await engine.run(imageBatch, {
      folder,
      ...(photographs && { photographs: [...photographs] }),
      ...(widths && { widths: [...widths] }),
    });
    const seconds = (performance.now() - begun) / 1_000;
    delays.disable();
    return {
      photographs: result.photographs,
      seconds,
      delay: { p50: delays.percentile(50) / 1e6, max: delays.max / 1e6 },
    };
  } finally {
    await engine.stop();
  }
}
