import { describe, expect, it } from "vitest";
import { mainColours } from "./colours.js";
import { decodeJpeg, encodeJpeg, type Pixels } from "./pixels.js";
import { resize } from "./resize.js";

/** An image of one colour to the left of `edge`, and of another from there on. */
function halves(width: number, height: number, edge: number, left: number, right: number): Pixels {
  const data = new Uint8Array(width * height * 4);
  for (let at = 0; at < data.length; at++) {
    const isLeft = (at >> 2) % width < edge;
    data[at] = at % 4 === 3 ? 255 : isLeft ? left : right;
  }
  return { width, height, data };
}

describe("resize()", () => {
  it("keeps a plain image plain, and its proportions", () => {
    const { width, height, data } = resize(halves(60, 40, 60, 90, 90), 15);
    expect([width, height]).toEqual([15, 10]);
    expect(new Set(data)).toEqual(new Set([90, 255]));
  });

  it("keeps an edge where it was", () => {
    const { data } = resize(halves(80, 8, 40, 0, 200), 20);
    const row = Array.from({ length: 20 }, (_, x) => data[x * 4]!);
    expect(row.slice(0, 8).every((value) => value < 20)).toBe(true);
    expect(row.slice(12).every((value) => value > 180)).toBe(true);
    expect(row.findIndex((value) => value > 100)).toBe(10);
  });

  it("enlarges too", () => {
    expect(resize(halves(4, 4, 2, 0, 255), 16)).toMatchObject({ width: 16, height: 16 });
  });
});

it("mainColours() names the colours that cover most, the most frequent first", () => {
  expect(mainColours(halves(10, 10, 7, 16, 240), 2)).toEqual(["#101010", "#f0f0f0"]);
});

it("a JPEG file is read back as it was written, but for its losses", () => {
  const image = halves(32, 16, 32, 120, 120);
  const { width, height, data } = decodeJpeg(encodeJpeg(image, 90));
  expect([width, height]).toEqual([32, 16]);
  expect(Math.abs(data[0]! - 120)).toBeLessThan(3);
  expect(() => decodeJpeg(new Uint8Array([1, 2, 3]))).toThrow();
});
