/** Measures one contender on one shape in a process of its own and prints the result as JSON. */
import { CONTENDERS, type ContenderName } from "./contenders.js";
import { SHAPES, type Shape } from "./graphs.js";

const [contender, shape, size, rounds] = process.argv.slice(2);
const graph = SHAPES[shape as Shape](Number(size));
const run: () => Promise<unknown> = await CONTENDERS[contender as ContenderName](graph);

const microsecondsPerTask: number[] = [];
for (let round = 0; round < Number(rounds); round++) {
  globalThis.gc?.();
  const start = performance.now();
  await run();
  microsecondsPerTask.push(((performance.now() - start) / graph.length) * 1_000);
}
const { maxRSS } = process.resourceUsage();
console.log(JSON.stringify({ microsecondsPerTask, maxRssMb: Math.round(maxRSS / 1_024) }));
process.exit(0);
