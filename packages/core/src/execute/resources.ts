import { WeftlineError } from "../errors.js";

/** What a host lends to its tasks, or a function that makes it: called once for the engine, and once for each worker. */
export type ResourcesOption<Lent extends object = object> = Lent | (() => Lent | Promise<Lent>);

/** Resources between their making and their end. */
export class LentResources {
  readonly #option: ResourcesOption;
  /** Made here, and so ended here. */
  #made: object | undefined;

  constructor(option: ResourcesOption = {}) {
    this.#option = option;
  }

  get value(): object {
    return this.#made ?? (typeof this.#option === "function" ? {} : this.#option);
  }

  /** A second call does nothing. @throws {WeftlineError} `RESOURCES_FAILED` with what the function threw as its cause. */
  async open(): Promise<object> {
    if (typeof this.#option === "function") this.#made ??= await make(this.#option as () => object | Promise<object>);
    return this.value;
  }

  /** Ends what `open` made: by its `Symbol.asyncDispose`, or its `Symbol.dispose`. What was given as it is stays as it is. */
  async close(): Promise<void> {
    const made = this.#made as Partial<AsyncDisposable & Disposable> | undefined;
    this.#made = undefined;
    if (made?.[Symbol.asyncDispose] !== undefined) await made[Symbol.asyncDispose]!();
    else made?.[Symbol.dispose]?.();
  }
}

async function make(factory: () => object | Promise<object>): Promise<object> {
  let made: unknown;
  try {
    made = await factory();
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new WeftlineError("RESOURCES_FAILED", `the function that makes the resources failed: ${reason}. Mend it.`, {
      cause: thrown,
    });
  }
  if (typeof made === "object" && made !== null) return made;
  throw new WeftlineError(
    "RESOURCES_FAILED",
    `the function that makes the resources returned ${made === null ? "null" : `a value of type ${typeof made}`}. Return an object.`,
  );
}
