import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { indexOf, pathOf } from "./paths.js";

const index = fc.array(fc.oneof(fc.nat(40), fc.nat(), fc.maxSafeNat()), { maxLength: 4 });

describe("pathOf()", () => {
  it("gives a text that is read back as the same index", () => {
    fc.assert(
      fc.property(index, (numbers) => {
        expect(indexOf(pathOf(numbers))).toEqual(numbers);
      }),
    );
    expect(pathOf([])).toBe("");
  });

  it("sorts by bytes as indexes do by numbers, what an item is a part of first", () => {
    fc.assert(
      fc.property(index, index, (a, b) => {
        const inBytes = Buffer.compare(Buffer.from(pathOf(a)), Buffer.from(pathOf(b)));
        expect(Math.sign(inBytes)).toBe(Math.sign(compare(a, b)));
      }),
    );
  });

  it("begins with the path of what the item is a part of, and with no other path", () => {
    fc.assert(
      fc.property(index, index, (a, b) => {
        const isPart = a.every((number, place) => b[place] === number);
        expect(pathOf(b).startsWith(pathOf(a))).toBe(isPart);
      }),
    );
  });
});

function compare(a: readonly number[], b: readonly number[]): number {
  for (let place = 0; place < Math.min(a.length, b.length); place++) {
    if (a[place] !== b[place]) return a[place]! - b[place]!;
  }
  return a.length - b.length;
}
