import { it } from "vitest";
import { createEngine, pipeline } from "weftline";

it("index of 2^32-1 holes", { timeout: 120_000 }, async () => {
  const p1 = pipeline("a", (p) => void p.signal("s"));
  const engine = createEngine({ pipelines: [p1] });
  const handle = await engine.trigger(p1, {});
  const before = performance.now();
  await handle.cancel({ index: new Array(2 ** 32 - 1) }).catch((e: unknown) => console.log(String(e).slice(0, 200)));
  console.log("ms", performance.now() - before);
  await engine.stop();
});
