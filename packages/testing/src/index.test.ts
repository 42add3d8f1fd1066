import { expect, it } from "vitest";
import * as testing from "./index.js";

it("@weftline/testing exports exactly these values", () => {
  expect(Object.keys(testing).sort()).toEqual([
    "VirtualClock",
    "createTestEngine",
    "errorThenValue",
    "executorContract",
    "inTurn",
    "schedulerContract",
    "storageContract",
  ]);
});
