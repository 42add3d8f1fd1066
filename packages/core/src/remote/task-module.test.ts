import { describe, expect, it } from "vitest";
import { pipeline } from "../define/pipeline.js";
import { checkDefinitions, definitionsOf } from "./task-module.js";

const version = (task: string) => pipeline("work", (p) => void p.task(task, () => 1));
const byId = (...pipelines: ReturnType<typeof version>[]) => new Map(pipelines.map((known) => [known.id, known]));
const definitions = (...pipelines: ReturnType<typeof version>[]) =>
  definitionsOf({ pipelines: byId(...pipelines), resources: {} });

describe("checkDefinitions()", () => {
  it("accepts what a worker with the same module says of itself", () => {
    const work = version("a");
    expect(() => checkDefinitions(byId(work), definitions(work), "file:///tasks.js")).not.toThrow();
  });

  it.each([
    ["a pipeline that is missing", definitions(), 'does not export "work"'],
    ["another version of a pipeline", definitions(version("b")), 'has another version of "work"'],
    ["a worker of another version", { ...definitions(version("a")), protocol: 0 }, "another version of weftline"],
    ["a worker from before there were versions", { work: "hash" } as never, "npm ls weftline"],
  ])("refuses %s", (_, found, words) => {
    expect(() => checkDefinitions(byId(version("a")), found, "file:///tasks.js")).toThrow(words);
  });
});
