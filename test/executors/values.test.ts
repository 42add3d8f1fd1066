import { expect } from "vitest";
import { ran, started, statuses } from "./runs.js";
import * as work from "./values.pipelines.js";
import { onEachExecutor } from "./world.js";

const setup = { module: new URL("./values.pipelines.ts", import.meta.url), exports: work };
const values = work.everyValue();

onEachExecutor(setup, (behaviour) => {
  behaviour("F66 every value comes whole through params, outputs, inputs, items and steps", async (engine) => {
    const run = await ran(engine, work.around, { values });
    const list = Object.values(values);
    expect(run.result.fromParams).toStrictEqual(values);
    expect(run.result.fromInput).toStrictEqual(values);
    expect(run.result.items).toStrictEqual(list.map((value) => [value]));
    expect(run.result.groups).toStrictEqual(list.map((own) => ({ own })));
    expect(run.result.steps).toStrictEqual(list.map((value) => [value]));
    return run.history;
  });

  behaviour("F66 every value is kept as an output by itself, and as data of a log line", async (engine) => {
    const run = await ran(engine, work.made);
    const { logged, ...outputs } = run.result;
    expect(Object.values(outputs)).toStrictEqual(Object.values(values));
    expect(logged).toBeUndefined();
    const { items } = await engine.runs.logs(run.id, {}, { limit: 1_000 });
    for (const { message, data } of items) expect(data, message).toStrictEqual(values[message]);
    return run.history;
  });

  behaviour("an error as a value keeps its name, its message and its cause", async (engine) => {
    const run = await ran(engine, work.errors);
    expect(run.result.read).toEqual([true, "OwnError", "as a value", "RangeError", "why"]);
    return run.result;
  });

  behaviour("what a task does to its params and inputs is seen by no other", async (engine) => {
    const run = await ran(engine, work.mutating, { list: [1, 2] });
    expect(run.result).toEqual({ source: { list: [1, 2] }, one: [3, 3], two: [3, 3] });
    return run.history;
  });

  behaviour("a task knows its run, its task, its attempt and its place", async (engine) => {
    const run = await ran(engine, work.facts, {}, { key: `key-${Math.random()}`, tags: ["a", "b"] });
    expect(run.result.own).toMatchObject({
      run: { id: run.id, of: "facts", key: expect.stringContaining("key-"), tags: ["a", "b"], createdAt: "number" },
      task: { id: "own", title: "Own facts" },
      attempt: 2,
      params: {},
    });
    return [statuses(run), run.history.attempts];
  });

  behaviour(
    "idempotencyKey is one for all attempts at a task, and differs between tasks, items and runs",
    async (engine) => {
      const [one, two] = [await ran(engine, work.facts), await ran(engine, work.facts)];
      const keysOf = ({ result, lines }: typeof one) => {
        const { own, keys, grouped } = result as {
          own: { idempotencyKey: string };
          keys: string[];
          grouped: { key: string }[];
        };
        const all = [own.idempotencyKey, ...keys, ...grouped.map(({ key }) => key)];
        expect(lines.toSorted()).toEqual([...keys, ...keys, ...keys].toSorted());
        return all;
      };
      const keys = [...keysOf(one), ...keysOf(two)];
      expect(new Set(keys).size).toBe(keys.length);
      return one.history;
    },
  );

  behaviour("lines, metrics and artifacts are kept whole and in order", async (engine) => {
    const run = await ran(engine, work.speaking);
    expect(run.lines).toEqual(["plain", "debug", "info", "warn", "error", "a line\nand another 🪡"]);
    expect(run.history.metrics.map(({ name, value }) => [name, value])).toEqual([
      ["rows", 3],
      ["rows", 4],
      ["odd", Number.NaN],
      ["much", Number.POSITIVE_INFINITY],
    ]);
    const text = async (name: string) => Buffer.from((await engine.runs.artifact(run.id, name))!.data);
    expect((await text("text.txt")).toString()).toBe("replaced");
    expect([...(await text("part"))]).toEqual([1, 2]);
    expect((await text("large")).length).toBe(3_000_000);
    return run.history;
  });

  behaviour("progress is heard while the task runs, in order", async (engine) => {
    const heard: unknown[] = [];
    const off = engine.on("task:progress", ({ fraction, message }) => heard.push([fraction, message]));
    await (await started(engine, work.speaking)).result();
    off();
    expect(heard).toEqual([
      [0.25, "a quarter"],
      [1, undefined],
    ]);
    return heard;
  });

  behaviour("what cannot be said is refused, or noted, where it was said", async (engine) => {
    const run = await ran(engine, work.misspeaking);
    expect(run.tasks.metric).toMatchObject({ status: "failed", error: { name: "TypeError" } });
    return run.history;
  });

  behaviour("thousands of lines of one attempt arrive, all and in order", async (engine) => {
    const run = await ran(engine, work.chatty);
    expect(run.lines).toEqual(Array.from({ length: 3_000 }, (_, n) => `line ${n}`));
    return run.history;
  });

  behaviour("a large output is read by the next task", async (engine) => {
    const run = await ran(engine, work.largeOutput);
    expect(run.result.count).toEqual([20_000, { n: 19_999, name: "row 19999", at: new Date(19_999) }]);
    return run.result;
  });
});
