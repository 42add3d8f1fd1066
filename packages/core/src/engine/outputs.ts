import { isGroupFrame } from "../run/recount.js";
import { type RunState, SUCCEEDED } from "../run/state.js";
import { decode, type Encoded, encode, encodeList } from "../values/codec.js";
import { NO_VALUE_LIMITS } from "../values/limits.js";
import { readList } from "./map-list.js";

/** The encoded outputs of one run's tasks and items, and what other tasks read of them. */
export class Outputs {
  readonly #state: RunState;
  /** By instance. */
  readonly #outputs: (Encoded | undefined)[] = [];
  /** The lists of expanded maps and mapped groups, by instance. */
  readonly #lists = new Map<number, readonly Encoded[]>();

  constructor(state: RunState) {
    this.#state = state;
  }

  set(instance: number, output: Encoded | undefined): void {
    this.#outputs[instance] = output;
  }

  /** Opened again, it will put out something else, and so will the lists and groups around it. */
  forget(instance: number): void {
    for (let at = instance; at >= 0; at = this.#state.parentOf(at)) {
      this.#outputs[at] = undefined;
      if (!this.#state.expansions.has(at)) this.#lists.delete(at);
    }
  }

  /**
   * What an instance put out; of a list the outputs of the items that succeeded, in its order, as soon as all have
   * finished; of a group an object of the outputs it named. `undefined`: there is none.
   */
  of(instance: number): Encoded | undefined {
    const known = this.#outputs[instance];
    if (known !== undefined) return known;
    const expansion = this.#state.expansions.get(instance);
    if (expansion !== undefined) {
      if (expansion.open > 0) return undefined;
      this.#outputs[instance] = encodeList(this.#succeededItems(instance));
    } else if (this.#state.plan.hasGroups && this.#state.status[instance] === SUCCEEDED) {
      const position = this.#state.positionOf(instance);
      if (isGroupFrame(this.#state, instance, position))
        this.#outputs[instance] = this.#groupOutput(instance, position);
    }
    return this.#outputs[instance];
  }

  #groupOutput(group: number, position: number): Encoded {
    const named = this.#state.plan.tasks[position]!.extra.outputs;
    if (named === undefined) return encode(undefined, "output");
    const entries = named.flatMap(({ name, from }) => {
      const output = this.read(from, group + 1);
      return output === undefined ? [] : [[name, decode(output)] as const];
    });
    return encode(Object.fromEntries(entries), "output", NO_VALUE_LIMITS);
  }

  /**
   * What a task put out, as seen from an instance: of a task inside a mapped group the reader does not stand in, the list
   * of what all items put out.
   */
  read(from: number, reader: number): Encoded | undefined {
    const { plan } = this.#state;
    if (plan.depth[from] === 0) return this.of(from);
    const lists = listsAround(this.#state, from);
    const own = listsAround(this.#state, this.#state.positionOf(reader));
    let common = 0;
    while (common < lists.length && lists[common] === own[common]) common++;
    return this.#collect(from, lists, this.#state.indexOf(reader).slice(0, common));
  }

  #collect(from: number, lists: readonly number[], index: readonly number[]): Encoded | undefined {
    if (index.length === lists.length) {
      const instance = this.#state.instanceAt(from, index);
      return instance === undefined ? undefined : this.of(instance);
    }
    const owner = this.#state.instanceAt(lists[index.length]!, index);
    const expansion = owner === undefined ? undefined : this.#state.expansions.get(owner);
    if (expansion === undefined) return undefined;
    const outputs: Encoded[] = [];
    for (let item = 0; item < expansion.count; item++) {
      if (this.#state.status[expansion.base + item * expansion.stride] !== SUCCEEDED) continue;
      const output = this.#collect(from, lists, [...index, item]);
      if (output !== undefined) outputs.push(output);
    }
    return encodeList(outputs);
  }

  /** The inputs of a task by the names it gave them, without those that do not exist. */
  inputOf(instance: number, position: number): Readonly<Record<string, Encoded>> {
    const { needStart, needFrom, needNames } = this.#state.plan;
    const input: Record<string, Encoded> = {};
    for (let place = needStart[position]!; place < needStart[position + 1]!; place++) {
      const output = this.read(needFrom[place]!, instance);
      if (output === undefined) continue;
      const name = needNames[place]!;
      // A plain assignment to this one name would change the prototype instead.
      if (name === "__proto__") Object.defineProperty(input, name, { value: output, enumerable: true });
      else input[name] = output;
    }
    return input;
  }

  /** The items of the lists an instance stands in, the outermost first. */
  itemsOf(instance: number): readonly Encoded[] {
    const items: Encoded[] = [];
    for (
      let at = instance, list = this.#state.expansionOf(at);
      list !== undefined;
      list = this.#state.expansionOf(at)
    ) {
      items.unshift(this.list(list.owner)[Math.floor((at - list.base) / list.stride)]!);
      at = list.owner;
    }
    return items;
  }

  /**
   * The list a map or mapped group runs over, read once.
   *
   * @throws {WeftlineError} `MAP_INVALID`, `FANOUT_LIMIT`, `ITEM_NOT_SERIALIZABLE`.
   */
  list(owner: number): readonly Encoded[] {
    let list = this.#lists.get(owner);
    if (list === undefined) {
      const kept = this.#state.expansions.get(owner)?.list;
      const task = this.#state.plan.tasks[this.#state.positionOf(owner)]!;
      list = kept === undefined ? this.#readList(owner) : readList(task, kept);
      this.#lists.set(owner, list);
    }
    return list;
  }

  /**
   * A list over a list of which items failed: a resume lets those succeed, and the list read from them then would be
   * another one. @returns The list to keep; `undefined` where it can be read again.
   */
  listToKeep(owner: number): Encoded | undefined {
    const over = this.#state.plan.tasks[this.#state.positionOf(owner)]!.over!;
    if ("items" in over) return undefined;
    // Inside mapped groups, where the source may be many lists, it is kept at any rate.
    if (this.#state.plan.depth[over.from]! > 0) return encodeList(this.list(owner));
    const source = this.#state.expansions.get(over.from);
    return source === undefined || source.succeeded === source.count ? undefined : encodeList(this.list(owner));
  }

  #readList(owner: number): readonly Encoded[] {
    const task = this.#state.plan.tasks[this.#state.positionOf(owner)]!;
    const over = task.over!;
    if ("items" in over) return readList(task, over.items);
    // A list over a list's output takes its items as they are, without decoding the list they make up.
    const isList = this.#state.plan.depth[over.from] === 0 && this.#state.expansions.has(over.from);
    return readList(task, isList ? this.#succeededItems(over.from) : this.read(over.from, owner));
  }

  #succeededItems(owner: number): Encoded[] {
    const { base, count, stride } = this.#state.expansions.get(owner)!;
    const items: Encoded[] = [];
    for (let item = 0; item < count; item++) {
      const instance = base + item * stride;
      if (this.#state.status[instance] === SUCCEEDED) items.push(this.of(instance)!);
    }
    return items;
  }
}

/** The mapped groups around a task, the outermost first. */
function listsAround({ plan }: RunState, position: number): readonly number[] {
  const lists: number[] = [];
  for (let group = plan.parent[position]!; group >= 0; group = plan.parent[group]!) {
    if (plan.tasks[group]!.isMapped) lists.unshift(group);
  }
  return lists;
}
