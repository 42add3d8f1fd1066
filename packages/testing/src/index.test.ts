import { expect, it } from "vitest";
import * as testing from "./index.js";

it("@weftline/testing exports exactly these values", () => {
  expect(Object.keys(testing).sort()).toEqual([
    "NO_FAULTS",
    "VirtualClock",
    "addExercised",
    "checkGrowth",
    "checkHistory",
    "createTestEngine",
    "errorThenValue",
    "executorContract",
    "faultyStorage",
    "finalStateOf",
    "hashOf",
    "historiesOf",
    "historyOf",
    "inTurn",
    "neverExercised",
    "openWitnessFile",
    "parseWitness",
    "recordingStorage",
    "refusingStorage",
    "schedulerContract",
    "shapeOf",
    "shapeOfDefinition",
    "shapesOf",
    "shrink",
    "simulate",
    "simulateWorld",
    "storageContract",
  ]);
});
