import { expect } from "vitest";
import { temporaryFiles } from "./files.js";
import { ended, eventually, ran, started, startedUntil, statuses } from "./runs.js";
import * as work from "./waits.pipelines.js";
import { onEachExecutor } from "./world.js";

const setup = { module: new URL("./waits.pipelines.ts", import.meta.url), exports: work };
const newFile = temporaryFiles();
const AT = new Date(86_400_000);

onEachExecutor(setup, (behaviour) => {
  behaviour("sleeps take their length from options, or from a function that runs as a task does", async (engine) => {
    const run = await ran(engine, work.sleeping, { ms: 25 });
    expect(run.result.after).toBeGreaterThanOrEqual(55);
    expect(run.attempts).toEqual(["before succeeded", "computed succeeded", "until succeeded", "after succeeded"]);
    return statuses(run);
  });

  behaviour("a sleep without a length fails with what is wrong", async (engine) => {
    const run = await ran(engine, work.badSleep);
    expect(statuses(run)).toEqual({ throws: "failed", nonsense: "failed", nowhen: "failed" });
    return run.history;
  });

  behaviour("F80 a poll looks until it finds something; zero and null are found", async (engine) => {
    const run = await ran(engine, work.polling, { looks: newFile("looks") });
    expect(run.result).toEqual({ found: { since: true }, zero: 0, nothing: null });
    expect(run.lines).toEqual(["looks", "looks", "looks"]);
    return [run.result, statuses(run)];
  });

  behaviour("a poll that finds nothing in its time fails", async (engine) => {
    const run = await ran(engine, work.inVain);
    expect(statuses(run)).toEqual({ look: "failed", after: "succeeded" });
    expect(run.tasks.look!.error?.code).toMatch(/TIMEOUT/);
    return [statuses(run), run.tasks.look!.error?.message];
  });

  behaviour("a look that fails, or hangs, is tried again by the policy", async (engine) => {
    const run = await ran(engine, work.shakyPoll);
    expect(run.result).toEqual({ look: "there", hangs: "there" });
    expect(run.tasks.look!.attempts).toBe(3);
    return run.history;
  });

  behaviour("a signal that comes while a task waits for it is the task's output", async (engine) => {
    const run = await startedUntil(engine, work.approving, "asks");
    await eventually(async () => (await run.status()) === "waiting", "the run waits");
    await run.signal("approval", { by: "Ada", at: AT });
    const { result, history } = await ended(engine, run);
    expect(result).toEqual({ seen: ["Ada", AT] });
    return history;
  });

  behaviour("F58 a signal that comes before anybody waits is kept", async (engine) => {
    const run = await started(engine, work.approving, {}, { at: Date.now() + 50 });
    await run.signal("approval", { by: "Bo", at: AT });
    const { result, history } = await ended(engine, run);
    expect(result).toEqual({ seen: ["Bo", AT] });
    return history;
  });

  behaviour("a signal to a key finds the run that waits for it", async (engine) => {
    const [one, two] = [
      await started(engine, work.keyed, { order: "1" }),
      await started(engine, work.keyed, { order: "2" }),
    ];
    await engine.runs.signalKey("paid/2", { sum: 20n });
    await engine.runs.signalKey("paid/1", { sum: 10n });
    const runs = [await ended(engine, one), await ended(engine, two)];
    expect(runs.map(({ result }) => result.seen)).toEqual([{ sum: 10n }, { sum: 20n }]);
    return runs.map(({ history }) => history);
  });

  behaviour("a signal that does not come in its time fails the wait", async (engine) => {
    const run = await ran(engine, work.unanswered);
    expect(run.result).toEqual({ after: [undefined] });
    return run.history;
  });

  behaviour("what waits holds no worker", async (engine) => {
    const waiting = [];
    for (let n = 0; n < 5; n++) waiting.push(await started(engine, work.holdingNothing, { key: `go/${n}` }));
    for (const run of waiting) {
      await eventually(async () => {
        const { items } = await engine.runs.tasks(run.id, { task: "work" });
        return items[0]?.status === "succeeded";
      }, "the work beside what waits");
    }
    await Promise.all(waiting.map((run) => run.cancel()));
    const runs = await Promise.all(waiting.map((run) => ended(engine, run)));
    const ends = runs.map(statuses);
    expect(ends[0]).toMatchObject({ go: "cancelled", look: "cancelled", work: "succeeded" });
    return ends;
  });
});
