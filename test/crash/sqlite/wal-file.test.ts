import { describe, expect, it } from "vitest";
import { cutsOf, FRAME_BYTES, framesIn, LOG_HEADER_BYTES, placeInLog } from "./wal-file.js";

const THREE_FRAMES = LOG_HEADER_BYTES + 3 * FRAME_BYTES;

describe("framesIn()", () => {
  it("counts a frame once all of it is there", () => {
    expect(framesIn(0)).toBe(0);
    expect(framesIn(LOG_HEADER_BYTES)).toBe(0);
    expect(framesIn(LOG_HEADER_BYTES + FRAME_BYTES - 1)).toBe(0);
    expect(framesIn(LOG_HEADER_BYTES + FRAME_BYTES)).toBe(1);
    expect(framesIn(THREE_FRAMES)).toBe(3);
  });
});

describe("cutsOf()", () => {
  it("has every frame's border and every 4 KiB, and nothing beyond the log", () => {
    const cuts = cutsOf(THREE_FRAMES, 0);
    for (const frame of [0, 1, 2, 3]) expect(cuts).toContain(LOG_HEADER_BYTES + frame * FRAME_BYTES);
    for (const page of [0, 1, 2, 3]) expect(cuts).toContain(page * 4_096);
    expect(Math.max(...cuts)).toBe(THREE_FRAMES);
    expect(Math.min(...cuts)).toBe(0);
  });

  it("leaves the frames alone that are in the database file already", () => {
    expect(cutsOf(THREE_FRAMES, 2).every((bytes) => framesIn(bytes) >= 2)).toBe(true);
    expect(cutsOf(THREE_FRAMES, 2)).toContain(LOG_HEADER_BYTES + 2 * FRAME_BYTES);
  });
});

describe("placeInLog()", () => {
  it("reads which log it is, how long it is, and how much of it is written back", () => {
    const index = Buffer.alloc(136);
    const words = new Uint32Array(index.buffer, index.byteOffset, 34);
    words[4] = 17; // frames
    words[8] = 0xaabbccdd; // the log's salts
    words[24] = 5; // written back
    const place = placeInLog(index);
    expect(place).toMatchObject({ frames: 17, writtenBack: 5 });
    expect(place.log).not.toBe(placeInLog(Buffer.alloc(136)).log);
  });
});
