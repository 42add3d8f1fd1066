import { describe, expect, it } from "vitest";
import { LeaseBoard } from "./lease-board.js";

describe("LeaseBoard", () => {
  it("shows on one side what is told on the other", () => {
    const ours = new LeaseBoard();
    const theirs = new LeaseBoard(structuredClone(ours.buffer)); // as a thread receives it
    expect([theirs.beatAt, theirs.renewedAt, theirs.losses]).toEqual([0, 0, 0]);
    ours.beat(1_700);
    theirs.renewed(1_650);
    theirs.lost();
    theirs.lost();
    expect([ours.beatAt, ours.renewedAt, ours.losses]).toEqual([1_700, 1_650, 2]);
    expect([theirs.beatAt, theirs.renewedAt, theirs.losses]).toEqual([1_700, 1_650, 2]);
  });

  it("never shows a moment later than it was told", () => {
    const board = new LeaseBoard();
    for (const moment of [0.9, 12.999, 86_400_000 * 365 + 0.5]) {
      board.beat(moment);
      board.renewed(moment);
      expect([board.beatAt, board.renewedAt]).toEqual([Math.floor(moment), Math.floor(moment)]);
    }
  });
});
