import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PriorityQueue } from "./priority-queue.js";

/** Everything that is left, in the order in which it comes. */
function drained<Item>(queue: PriorityQueue<Item>): Item[] {
  const items: Item[] = [];
  while (queue.size > 0) items.push(queue.shift()!);
  return items;
}

describe("PriorityQueue", () => {
  it("gives the highest priority first, and equals in their order", () => {
    const queue = new PriorityQueue<string>();
    for (const [item, priority] of [
      ["a", 0],
      ["b", 5],
      ["c", -3],
      ["d", 5],
      ["e", 0],
    ] as const)
      queue.push(item, priority);
    expect(queue.peek()).toBe("b");
    expect(drained(queue)).toEqual(["b", "d", "a", "e", "c"]);
    expect([queue.peek(), queue.shift(), queue.size]).toEqual([undefined, undefined, 0]);
  });

  it("takes what comes while it is empty, whatever came before", () => {
    const queue = new PriorityQueue<number>();
    for (const priority of [3, 9, -2, 0, 9]) {
      queue.push(priority, priority);
      expect(queue.peek()).toBe(priority);
      expect(queue.shift()).toBe(priority);
      expect(queue.peek()).toBeUndefined();
    }
  });

  it.each([2, 3, 7])(
    "F155 serves every one of %i priorities now and then, however much comes of the others",
    (levels) => {
      const queue = new PriorityQueue<number>();
      const served = new Map<number, number>();
      for (let priority = 0; priority < levels; priority++) queue.push(priority, priority);
      for (let pick = 0; pick < 16 * levels * 10; pick++) {
        const priority = queue.shift()!;
        served.set(priority, (served.get(priority) ?? 0) + 1);
        queue.push(priority, priority);
      }
      for (let priority = 0; priority < levels; priority++)
        expect(served.get(priority) ?? 0).toBeGreaterThanOrEqual(10);
      expect(served.get(levels - 1)!).toBeGreaterThanOrEqual(16 * levels * 10 * 0.9);
    },
  );

  it("is as fast with a million priorities, each used once, as with one", () => {
    const queue = new PriorityQueue<number>();
    queue.push(-1, -1);
    for (let priority = 0; priority < 1_000_000; priority++) {
      queue.push(priority, priority);
      queue.shift();
    }
    expect(queue.size).toBe(1);
  });

  it("loses and repeats nothing, whatever comes and goes", () => {
    const operations = fc.array(fc.option(fc.integer({ min: -3, max: 3 })), { maxLength: 200 });
    fc.assert(
      fc.property(operations, (pushes) => {
        const queue = new PriorityQueue<number>();
        const out: number[] = [];
        let pushed = 0;
        for (const priority of pushes) {
          if (priority !== null) queue.push(pushed++, priority);
          else if (queue.size > 0) out.push(queue.shift()!);
          expect(queue.size).toBe(pushed - out.length);
        }
        out.push(...drained(queue));
        expect(out.toSorted((a, b) => a - b)).toEqual(Array.from({ length: pushed }, (_, n) => n));
      }),
    );
  });
});
