import type { TaskDefinition } from "../define/definition.js";
import { type RunState, SUCCEEDED } from "../run/state.js";
import { type Encoded, encodeList } from "../values/codec.js";
import { readList } from "./map-list.js";

/** The encoded outputs of one run's tasks and items, and what other tasks read of them. */
export class Outputs {
  readonly #state: RunState;
  /** By instance. */
  readonly #outputs: (Encoded | undefined)[] = [];
  /** The lists of expanded maps, by task. */
  readonly #lists = new Map<number, readonly Encoded[]>();

  constructor(state: RunState) {
    this.#state = state;
  }

  set(instance: number, output: Encoded | undefined): void {
    this.#outputs[instance] = output;
  }

  /**
   * What the task put out; of a map the outputs of the items that succeeded, in the list's order, as soon as all
   * items have finished. `undefined`: there is none.
   */
  of(task: number): Encoded | undefined {
    const expansion = this.#state.expansions.get(task);
    if (expansion === undefined || expansion.open > 0) return this.#outputs[task];
    this.#outputs[task] ??= encodeList(this.#succeededItems(task));
    return this.#outputs[task];
  }

  /** Reopened items will put out something else: a list made before is out of date. */
  forgetList(task: number): void {
    this.#outputs[task] = undefined;
  }

  /** The inputs of a task by the names it gave them, without those that do not exist. */
  inputOf(task: TaskDefinition): Readonly<Record<string, Encoded>> {
    const input: Record<string, Encoded> = {};
    for (const { name, from } of task.needs) {
      const output = this.of(from);
      if (output === undefined) continue;
      // A plain assignment to this one name would change the prototype instead.
      if (name === "__proto__") Object.defineProperty(input, name, { value: output, enumerable: true });
      else input[name] = output;
    }
    return input;
  }

  item(task: number, item: number): Encoded | undefined {
    return this.list(task)[item];
  }

  /**
   * The list a map runs over, read once.
   *
   * @throws {WeftlineError} `MAP_INVALID`, `FANOUT_LIMIT`, `ITEM_NOT_SERIALIZABLE`.
   */
  list(task: number): readonly Encoded[] {
    let list = this.#lists.get(task);
    if (list === undefined) {
      const kept = this.#state.expansions.get(task)?.list;
      const definition = this.#state.plan.tasks[task]!;
      list = kept === undefined ? this.#readList(definition) : readList(definition, kept);
      this.#lists.set(task, list);
    }
    return list;
  }

  /**
   * A map over a map of which items failed: a resume lets those succeed, and the list read from them then would be
   * another one. @returns The list to keep; `undefined` where it can be read again.
   */
  listToKeep(task: number): Encoded | undefined {
    const over = this.#state.plan.tasks[task]!.over!;
    const source = "from" in over ? this.#state.expansions.get(over.from) : undefined;
    return source === undefined || source.succeeded === source.count ? undefined : encodeList(this.list(task));
  }

  #readList(task: TaskDefinition): readonly Encoded[] {
    const over = task.over!;
    if ("items" in over) return readList(task, over.items);
    const source = this.#state.expansions.get(over.from);
    // A map over a map's output takes its items as they are, without decoding the list they make up.
    return readList(task, source ? this.#succeededItems(over.from) : this.of(over.from));
  }

  #succeededItems(task: number): Encoded[] {
    const { base, count } = this.#state.expansions.get(task)!;
    const items: Encoded[] = [];
    for (let instance = base; instance < base + count; instance++) {
      if (this.#state.status[instance] === SUCCEEDED) items.push(this.#outputs[instance]!);
    }
    return items;
  }
}
