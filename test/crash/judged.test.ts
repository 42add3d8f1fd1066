import { expect, it } from "vitest";
import { addedUp } from "./judged.js";

it("addedUp() counts what was checked in any case, and gives reasons only for what was in none", () => {
  const { checked, notChecked } = addedUp([
    { checked: new Map([[3, 2]]), notChecked: new Map([[14, "no claim"]]) },
    {
      checked: new Map([
        [3, 5],
        [14, 1],
      ]),
      notChecked: new Map([[25, "nothing refused"]]),
    },
  ]);
  expect([...checked]).toEqual([
    [3, 7],
    [14, 1],
  ]);
  expect([...notChecked]).toEqual([[25, "nothing refused"]]);
});
