import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { boundText } from "./text.js";

describe("boundText()", () => {
  it("leaves a text that fits as it is, valid emoji included (F75)", () => {
    for (const text of ["", "plain", "👩‍👩‍👧 Grüße, 漢字, \n\t", "😀".repeat(50)])
      expect(boundText(text, 100)).toBe(text);
  });

  it("F75 replaces only the unpaired halves of surrogate pairs", () => {
    expect(boundText("a\ud83db😀\ude00c", 100)).toBe("a\uFFFDb😀\uFFFDc");
    expect(boundText("\ude00\ud83d", 100)).toBe("\uFFFD\uFFFD");
  });

  it("F76 replaces NUL, also in a text that is cut", () => {
    expect(boundText("a\0b", 100)).toBe("a\uFFFDb");
    expect(boundText(`\0${"x".repeat(200)}`, 100)).toMatch(/^\uFFFDx+…/);
  });

  it("F74 cuts between code points, wherever the limit falls", () => {
    const text = `a${"😀".repeat(500)}`;
    for (let maxLength = 0; maxLength < 200; maxLength += 1) {
      const bounded = boundText(text, maxLength);
      expect(bounded.length).toBeLessThanOrEqual(maxLength);
      expect(bounded).not.toContain("\uFFFD");
      expect(bounded).not.toMatch(/\p{Surrogate}/u);
      const [, kept, hidden] = /^(.+)… \[(\d+) more characters\]$/.exec(bounded) ?? [];
      if (hidden !== undefined) expect(Number(hidden) + (kept?.length ?? 0)).toBe(text.length);
    }
  });

  it("says how much it left out, within the limit", () => {
    const bounded = boundText("x".repeat(999), 100);
    const [, kept, hidden] = /^(x+)… \[(\d+) more characters\]$/.exec(bounded) ?? [];
    expect(bounded).toHaveLength(100);
    expect(Number(hidden) + (kept?.length ?? 0)).toBe(999);
  });

  it("cuts without a note when not even that fits", () => {
    expect(boundText("x".repeat(1_000), 5)).toBe("xxxxx");
    expect(boundText("x", 0)).toBe("");
  });

  it("is well-formed, free of NUL and within the limit for any text", () => {
    const anyText = fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) });
    const hard = fc.string({ unit: fc.constantFrom("\0", "\ud83d", "\ude00", "😀", "x"), maxLength: 80 });
    fc.assert(
      fc.property(fc.oneof(anyText, hard), fc.nat({ max: 60 }), (text, maxLength) => {
        const bounded = boundText(text, maxLength);
        expect(bounded.length).toBeLessThanOrEqual(maxLength);
        expect(bounded).not.toMatch(/[\0\p{Surrogate}]/u);
      }),
    );
  });
});
