import { setTimeout as sleep } from "node:timers/promises";
import { createEngine, type Engine, type Logger, NonRetryableError, type Pipeline, pipeline } from "weftline";
import { SECRET } from "./oracles.js";

type AnyPipeline = Pipeline<Record<never, never>>;

/** A run in each of the ways a run can stand, for calls that name one. */
export interface KnownRuns {
  readonly succeeded: string;
  readonly failed: string;
  readonly waiting: string;
}

/** So many calls share known runs before they are made anew. */
const CALLS_PER_RUNS = 15;

/** An engine that lives through all calls of one entry point, with runs of others that nobody may learn of. */
export class World {
  readonly engine: Engine;
  readonly probe: AnyPipeline;
  readonly waiting: AnyPipeline;
  readonly failing: AnyPipeline;
  /** What the engine said of faults of its own. */
  readonly errors: string[] = [];
  readonly #secret: AnyPipeline;
  #runs: Promise<KnownRuns> | undefined;
  #calls = 0;

  private constructor() {
    this.probe = pipeline("probe", (p) => {
      const items = p.task("items", () => [1, 2, 3]);
      const doubled = p.map("doubled", { over: items }, ({ item }) => item * 2);
      const sum = p.task("sum", { needs: { doubled } }, ({ input }) => input.doubled.reduce((a, b) => a + b, 0));
      return { sum };
    });
    this.waiting = pipeline("waiting", (p) => void p.signal("approval")) as AnyPipeline;
    this.failing = pipeline("failing", (p) => {
      const first = p.task("first", () => 1);
      p.task("second", { after: [first] }, () => {
        throw new NonRetryableError("as it should");
      });
    }) as AnyPipeline;
    this.#secret = pipeline("secret", (p) => {
      p.task("keep", ({ log }) => {
        log(SECRET);
        return SECRET;
      });
      p.task("fail", () => {
        throw new NonRetryableError(SECRET);
      });
    }) as AnyPipeline;
    const pipelines = [this.probe, this.waiting, this.failing, this.#secret];
    const silent = () => {};
    const log: Logger = { debug: silent, info: silent, warn: silent, error: (_, message) => this.errors.push(message) };
    this.engine = createEngine({ pipelines, log, abortGrace: 0 });
  }

  static async open(): Promise<World> {
    const world = new World();
    await world.engine.start();
    const secret = await world.engine.trigger(world.#secret, {}, { key: SECRET, tags: [SECRET] });
    await secret.result().catch(() => undefined);
    return world;
  }

  /** Known runs that were not harmed by many calls before. */
  async runs(): Promise<KnownRuns> {
    if (this.#calls++ % CALLS_PER_RUNS === 0) this.#runs = this.#make();
    return this.#runs!;
  }

  /** @returns What is wrong with the engine; `undefined`: it lives and does its work. */
  async fault(): Promise<string | undefined> {
    const probing = this.engine.run(this.probe, {}).then(
      (result) => {
        const { sum } = result as { readonly sum: number };
        return sum === 12 ? undefined : `a probe run made ${sum} of 12`;
      },
      (error: unknown) => `a probe run failed: ${String(error).slice(0, 300)}`,
    );
    return Promise.race([probing, sleep(5_000, "a probe run did not end within 5 s", { ref: false })]);
  }

  async close(): Promise<void> {
    await this.engine.stop({ grace: 0 });
  }

  async #make(): Promise<KnownRuns> {
    const [succeeded, failed, waiting] = await Promise.all(
      [this.probe, this.failing, this.waiting].map((known) => this.engine.trigger(known, {})),
    );
    await succeeded!.result();
    await failed!.result().catch(() => undefined);
    return { succeeded: succeeded!.id, failed: failed!.id, waiting: waiting!.id };
  }
}
