// Plain JavaScript, so that a process of the test can load it without help.
import { appendFileSync, existsSync } from "node:fs";
import { pipeline } from "weftline";

/** @typedef {{ readonly witness: string, readonly door: string }} Params */
const params = { "~standard": { version: 1, vendor: "tests", validate: (value) => ({ value }) } };

/** Says on the disk what it does before it does it. */
function bearWitness({ params: { witness }, task, attempt }, what = task.id) {
  appendFileSync(witness, `${what} ${attempt} ${process.pid}\n`);
}

const isShut = ({ params: { door } }) => !existsSync(door);

export const killed = pipeline("killed", { params }, (p) => {
  const done = p.task("done", (context) => {
    bearWitness(context);
    return new Map([["done", 1n]]);
  });
  const items = p.map("items", { over: [0, 1], after: [done] }, (context) => {
    bearWitness(context, `item-${context.item}`);
    return context.item;
  });
  const stepped = p.task("stepped", { needs: { items } }, async (context) => {
    const key = await context.step("once", () => {
      bearWitness(context, "step");
      return context.idempotencyKey;
    });
    bearWitness(context);
    while (isShut(context)) await new Promise((resolve) => setTimeout(resolve, 20));
    return key === context.idempotencyKey;
  });
  const end = p.task("end", { needs: { done, stepped } }, (context) => {
    bearWitness(context);
    return [context.input.done, context.input.stepped];
  });
  return { end };
});
