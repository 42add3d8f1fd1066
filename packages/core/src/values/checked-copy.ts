import type { WeftlineError } from "../errors.js";
import { arrayOfHoles, presentIndexes } from "./array-indexes.js";
import { describeError, type ErrorParts, toErrorRecord } from "./error-record.js";
import type { ValueKind, ValueLimits } from "./limits.js";
import { formatPath } from "./path.js";
import { isStackOverflow, notSerializable, tooDeep, tooLarge } from "./refusals.js";
import { className, shapeOf } from "./shape.js";
import { storedBuffer, storedEntries, storedError } from "./stored-types.js";
import { boundText } from "./text.js";

const MAX_REASON_LENGTH = 200;
const MAX_CLASS_NAME_LENGTH = 80;
const AWAIT_HINT = "Did you forget await?";
const ERROR_PARTS = ["name", "message", "stack", "code", "cause", "errors"] as const;

/**
 * A copy of `value` that devalue can write without losing anything, or a refusal that names the place. The value is
 * read once, so that the text cannot differ from what was checked. What is referred to twice is copied once, so that a
 * few objects that unfold to terabytes are refused at once.
 *
 * Left out, as in JSON: properties that are not enumerable, and named properties of arrays, maps and other built-ins.
 *
 * @throws {WeftlineError} `…_NOT_SERIALIZABLE` or `…_TOO_LARGE`; never anything else.
 */
export function checkedCopy(value: unknown, kind: ValueKind, limits: ValueLimits): unknown {
  return new Copier(kind, limits).run(value);
}

/** Marks an object whose copy is being made: meeting it again means that it is inside itself. */
const OPEN = Symbol("open");

interface Copy {
  readonly value: unknown;
  /** Characters of its text, at least. */
  readonly size: number;
  /** Levels it has, itself included. */
  readonly height: number;
}

class Copier {
  readonly #kind: ValueKind;
  readonly #limits: ValueLimits;
  /** The objects being copied, from the root to the current one. */
  readonly #containers: object[] = [];
  /** The way out of each container. After a throw it still leads to the place of it. */
  readonly #segments: unknown[] = [];
  readonly #copies = new Map<object, Copy | typeof OPEN>();
  /** Characters the text takes at least, with all that is referred to twice written out twice. */
  #size = 0;
  /** The most levels reached inside the current container, counted from the root. */
  #deepest = 0;
  #refusal: WeftlineError | undefined;

  constructor(kind: ValueKind, limits: ValueLimits) {
    this.#kind = kind;
    this.#limits = limits;
  }

  run(value: unknown): unknown {
    try {
      return this.#copy(value);
    } catch (thrown) {
      // A getter may throw one of our errors too, so the class does not tell whose it is.
      throw thrown !== undefined && thrown === this.#refusal ? thrown : this.#unreadable(thrown);
    }
  }

  #copy(value: unknown): unknown {
    switch (typeof value) {
      case "object":
        return value === null ? this.#leaf(value, 1) : this.#copyObject(value);
      case "string":
        return this.#leaf(value, value.length);
      case "bigint":
        // Stored are its decimal digits, which are never fewer, but slow to compute for a huge number.
        return this.#leaf(value, value.toString(16).length);
      case "function":
        throw this.#refuse("function", this.#isThen() ? AWAIT_HINT : "Did you forget to call it?");
      case "symbol":
        throw this.#refuse("symbol", "Use a string.");
      default:
        return this.#leaf(value, 1);
    }
  }

  #copyObject(object: object): unknown {
    const known = this.#copies.get(object);
    if (known === OPEN) throw this.#refuse("cycle", "A value cannot hold itself: refer to its parent by an id.");
    const height = known?.height ?? 1;
    if (this.#containers.length + height > this.#limits.maxDepth) throw this.#refuseDepth();
    if (known === undefined) return this.#copyNew(object);
    this.#spend(known.size);
    this.#deepest = Math.max(this.#deepest, this.#containers.length + height);
    return known.value;
  }

  #copyNew(object: object): unknown {
    const level = this.#containers.length;
    const sizeBefore = this.#size;
    const deepestBefore = this.#deepest;
    this.#copies.set(object, OPEN);
    this.#containers.push(object);
    this.#deepest = level + 1;
    this.#spend(1);
    const value = this.#copyShape(object);
    this.#containers.pop();
    this.#copies.set(object, { value, size: this.#size - sizeBefore, height: this.#deepest - level });
    this.#deepest = Math.max(this.#deepest, deepestBefore);
    return value;
  }

  #copyShape(object: object): unknown {
    const { is, value } = shapeOf(object);
    switch (is) {
      case "plain":
      case "null-prototype":
        return this.#copyRecord(value, is === "null-prototype");
      case "array":
        return this.#copyArray(value);
      case "map":
        return this.#copyMap(value);
      case "set":
        return this.#copySet(value);
      case "error":
        return this.#copyError(value);
      case "date":
        return this.#leaf(new Date(Date.prototype.getTime.call(value)), 24);
      case "regexp":
        return this.#leaf(new RegExp(value.source, value.flags), value.source.length);
      case "url":
        return this.#leaf(new URL(value.href), value.href.length);
      case "buffer":
        this.#spendBytes(value.byteLength);
        return storedBuffer(new Uint8Array(value));
      case "typed-array":
        this.#spendBytes(value.byteLength);
        return copyTypedArray(value);
      case "array-buffer":
        this.#spendBytes(value.byteLength);
        return ArrayBuffer.prototype.slice.call(value, 0);
      case "instance":
        throw this.#refuseInstance(value);
    }
  }

  #copyRecord(source: Readonly<Record<string, unknown>>, nullPrototype: boolean): unknown {
    this.#refuseSymbolKeys(source);
    const keys = Object.keys(source);
    if (keys.includes("__proto__")) {
      const entries = keys.map((key) => [key, this.#property(source, key)] as const);
      return storedEntries({ nullPrototype, entries });
    }
    const copy: Record<string, unknown> = nullPrototype ? Object.create(null) : {};
    for (const key of keys) copy[key] = this.#property(source, key);
    return copy;
  }

  #copyArray(source: readonly unknown[]): unknown[] {
    const copy: unknown[] = [];
    for (let index = 0; index < source.length; index += 1) {
      if (!Object.hasOwn(source, index)) return this.#copySparse(source, copy);
      copy.push(this.#item(source, index));
    }
    return copy;
  }

  /**
   * By the elements there are, as four billion holes can be had for nothing.
   *
   * @param start - Copies of the elements before the first hole.
   */
  #copySparse(source: readonly unknown[], start: readonly unknown[]): unknown[] {
    const copy = arrayOfHoles(source.length);
    for (const index of presentIndexes(source)) {
      copy[index] = index < start.length ? start[index] : this.#item(source, index);
    }
    return copy;
  }

  #copyMap(source: ReadonlyMap<unknown, unknown>): Map<unknown, unknown> {
    const copy = new Map<unknown, unknown>();
    Map.prototype.forEach.call(source, (value: unknown, key: unknown) => {
      copy.set(this.#member(key, key), this.#member(key, value));
    });
    return copy;
  }

  #copySet(source: ReadonlySet<unknown>): Set<unknown> {
    const copy = new Set<unknown>();
    let position = 0;
    Set.prototype.forEach.call(source, (value: unknown) => {
      copy.add(this.#member(position, value));
      position += 1;
    });
    return copy;
  }

  #copyError(source: Error): unknown {
    const parts: Record<string, unknown> = {};
    for (const key of ERROR_PARTS) {
      parts[key] = this.#property(source as unknown as Record<string, unknown>, key);
    }
    return storedError(parts as unknown as ErrorParts);
  }

  #property(source: Readonly<Record<string, unknown>>, key: string): unknown {
    this.#spend(key.length + 1);
    // First the way, then the read: a getter that throws is reported at its own place.
    this.#segments.push(key);
    const copy = this.#copy(source[key]);
    this.#segments.pop();
    return copy;
  }

  #item(source: readonly unknown[], index: number): unknown {
    this.#segments.push(index);
    const copy = this.#copy(source[index]);
    this.#segments.pop();
    return copy;
  }

  #member(segment: unknown, value: unknown): unknown {
    this.#segments.push(segment);
    const copy = this.#copy(value);
    this.#segments.pop();
    return copy;
  }

  #leaf<Leaf>(leaf: Leaf, size: number): Leaf {
    this.#spend(size);
    return leaf;
  }

  #spendBytes(byteLength: number): void {
    // Stored as base64.
    this.#spend(Math.ceil(byteLength / 3) * 4);
  }

  /** Counts one more for the comma or bracket that goes with everything. */
  #spend(size: number): void {
    this.#size += size + 1;
    if (this.#size <= this.#limits.maxBytes) return;
    throw this.#keep(tooLarge(this.#kind, `more than the ${this.#limits.maxBytes} bytes that are allowed`));
  }

  #isThen(): boolean {
    return this.#segments.at(-1) === "then";
  }

  #refuse(what: string, advice: string): WeftlineError {
    return this.#keep(notSerializable(this.#kind, `${what} at ${this.#path()}. ${advice}`));
  }

  #refuseDepth(): WeftlineError {
    return this.#keep(tooDeep(this.#kind, `${this.#limits.maxDepth} levels`, this.#path()));
  }

  #refuseSymbolKeys(source: object): void {
    for (const symbol of Object.getOwnPropertySymbols(source)) {
      if (!Object.prototype.propertyIsEnumerable.call(source, symbol)) continue;
      const name = boundText(String(symbol), MAX_CLASS_NAME_LENGTH);
      throw this.#refuse(`symbol key ${name}`, "Use a string as the key.");
    }
  }

  #refuseInstance(value: object): WeftlineError {
    const name = boundText(className(value), MAX_CLASS_NAME_LENGTH);
    if (isThenable(value)) return this.#refuse(name === "Promise" ? "promise" : `promise (${name})`, AWAIT_HINT);
    if (isStream(value)) {
      return this.#refuse(`stream (${name})`, "Read it to its end and use what it held, or store it elsewhere.");
    }
    return this.#refuse(`instance of class ${name}`, "Use a plain object with the fields you need instead.");
  }

  #unreadable(thrown: unknown): WeftlineError {
    if (isStackOverflow(thrown)) return tooDeep(this.#kind, "the call stack allows", this.#path());
    const reason = boundText(describeError(toErrorRecord(thrown)), MAX_REASON_LENGTH);
    const advice = "Use plain data without getters or proxies.";
    return notSerializable(this.#kind, `the value at ${this.#path()} cannot be read (${reason}). ${advice}`, thrown);
  }

  #keep(refusal: WeftlineError): WeftlineError {
    this.#refusal = refusal;
    return refusal;
  }

  #path(): string {
    return formatPath(this.#containers, this.#segments);
  }
}

/** The bytes it shows, not the buffer behind it, which can be larger and hold what is none of the reader's business. */
function copyTypedArray(source: NodeJS.TypedArray): unknown {
  // Its shape was checked: the prototype is a built-in's, and so is the constructor.
  const BuiltIn = Object.getPrototypeOf(source).constructor as new (from: NodeJS.TypedArray) => unknown;
  return new BuiltIn(source);
}

function isThenable(value: object): boolean {
  return hasMethod(value, "then");
}

function isStream(value: object): boolean {
  return hasMethod(value, "pipe") || hasMethod(value, "getReader");
}

function hasMethod(value: object, name: string): boolean {
  return typeof (value as Record<string, unknown>)[name] === "function";
}
