import { createHash, type Hash } from "node:crypto";
import { presentIndexes } from "./array-indexes.js";
import { className, shapeOf } from "./shape.js";

/** Text is hashed in pieces of about this many characters: few calls, and no second copy of a large value. */
const PIECE_LENGTH = 65_536;

/**
 * Identifies a value by its content: equal for equal values, in every process and for the whole major version.
 *
 * The order of an object's keys does not matter, and a property that is undefined counts as missing. All else does:
 * the order of arrays, maps and sets; the type (`1`, `"1"` and `1n` differ, so do a Date and its text, a Map and `{}`);
 * `0` and `-0`. Of an error the name, message, code, cause and collected errors count, not the stack, which names
 * places in the code. An object without a prototype counts as a plain one.
 *
 * @param value - A value that {@link encode} accepts; its depth is bounded by that.
 * @returns SHA-256 as 64 hexadecimal digits.
 * @throws {TypeError} For a function, a symbol or a class instance, which have no content to compare.
 */
export function fingerprint(value: unknown): string {
  const writer = new CanonicalWriter();
  writer.write(value);
  return writer.digest();
}

/** Writes the canonical form: the type's name, then the content in brackets, and texts in quotes: no two are alike. */
class CanonicalWriter {
  readonly #hash: Hash = createHash("sha256");
  #pending = "";

  digest(): string {
    return this.#hash.update(this.#pending).digest("hex");
  }

  write(value: unknown): void {
    switch (typeof value) {
      case "string":
        return this.#text(value);
      case "number":
        return this.#put(Object.is(value, -0) ? "-0" : String(value));
      case "bigint":
        return this.#put(`${value}n`);
      case "boolean":
      case "undefined":
        return this.#put(String(value));
      case "object":
        return value === null ? this.#put("null") : this.#writeObject(value);
      default:
        throw new TypeError(`Cannot fingerprint a ${typeof value}`);
    }
  }

  #writeObject(object: object): void {
    const { is, value } = shapeOf(object);
    switch (is) {
      case "plain":
      case "null-prototype":
        return this.#record(value);
      case "array":
        return this.#array(value);
      case "map":
        return this.#sequence("map", [...value].flat());
      case "set":
        return this.#sequence("set", [...value]);
      case "error":
        return this.#error(value);
      case "date":
        return this.#put(`date(${value.getTime()})`);
      case "regexp":
        return this.#sequence("regexp", [value.source, value.flags]);
      case "url":
        return this.#sequence("url", [value.href]);
      case "buffer":
        return this.#bytes("Buffer", value);
      case "typed-array":
        return this.#bytes(value[Symbol.toStringTag], new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
      case "array-buffer":
        return this.#bytes("ArrayBuffer", new Uint8Array(value));
      case "instance":
        throw new TypeError(`Cannot fingerprint an instance of class ${className(value)}`);
    }
  }

  #record(record: Readonly<Record<string, unknown>>): void {
    this.#put("{");
    // By UTF-16 units, not by a locale, which differs between machines.
    for (const key of Object.keys(record).sort()) {
      if (record[key] === undefined) continue;
      this.#text(key);
      this.#put(":");
      this.write(record[key]);
      this.#put(",");
    }
    this.#put("}");
  }

  #array(array: readonly unknown[]): void {
    this.#put(`array(${array.length},`);
    let next = 0;
    for (const index of presentIndexes(array)) {
      if (index > next) this.#put(`hole(${index - next}),`);
      this.write(array[index]);
      this.#put(",");
      next = index + 1;
    }
    this.#put(")");
  }

  #error(error: Error): void {
    const { name, message, code, cause, errors } = error as Error & { code?: unknown; errors?: unknown };
    this.#put("error");
    this.#record({ name, message, code, cause, errors });
  }

  #sequence(type: string, items: readonly unknown[]): void {
    this.#put(`${type}(`);
    for (const item of items) {
      this.write(item);
      this.#put(",");
    }
    this.#put(")");
  }

  #bytes(type: string, bytes: Uint8Array): void {
    this.#put(`${type}(${createHash("sha256").update(bytes).digest("hex")})`);
  }

  #text(text: string): void {
    // As JSON, which escapes lone surrogates; in UTF-8 they would all become the same character.
    this.#put(JSON.stringify(text));
  }

  #put(text: string): void {
    this.#pending += text;
    if (this.#pending.length < PIECE_LENGTH) return;
    this.#hash.update(this.#pending);
    this.#pending = "";
  }
}
