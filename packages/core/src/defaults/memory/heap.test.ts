import fc from "fast-check";
import { expect, it } from "vitest";
import { Heap } from "./heap.js";

it("gives what was put in, in order, whatever is put in meanwhile", () => {
  const steps = fc.array(fc.option(fc.integer(), { nil: undefined, freq: 2 }), { maxLength: 200 });
  fc.assert(
    fc.property(steps, (all) => {
      const heap = new Heap<number>((a, b) => a < b);
      let sorted: number[] = [];
      for (const number of all) {
        if (number === undefined) expect(heap.shift()).toBe(sorted.shift());
        else {
          heap.push(number);
          sorted = [...sorted, number].sort((a, b) => a - b);
        }
        expect(heap.first).toBe(sorted[0]);
      }
    }),
  );
});
