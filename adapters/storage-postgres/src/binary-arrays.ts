const INT4 = 23;
const INT8 = 20;
const FLOAT8 = 701;
const TEXT = 25;
const BYTEA = 17;

/** Dimensions, whether there are NULLs, type of elements, number of elements, lower bound. */
const HEADER_BYTES = 20;
const NULL_LENGTH = -1;
const INITIAL_BYTES = 256;
/** Most columns stay empty: the flushes of few tasks are what there are most of. */
const NOTHING = Buffer.alloc(0);
/** Shorter texts are copied faster here than by a call into Node. */
const MAX_COPIED_LENGTH = 32;

/**
 * A column of values for Postgres, as an array in its binary form: it needs no quoting here and no parsing there, which
 * is most of what a large statement costs otherwise.
 */
export abstract class BinaryArray<Value> {
  protected buffer = NOTHING;
  protected length = HEADER_BYTES;
  readonly #type: number;
  #count = 0;
  #hasValue = false;
  #hasNull = false;

  constructor(type: number) {
    this.#type = type;
  }

  push(value: Value | undefined): void {
    this.#count++;
    if (value === undefined) {
      this.#hasNull = true;
      this.reserve(4);
      this.length = this.buffer.writeInt32BE(NULL_LENGTH, this.length);
    } else {
      this.#hasValue = true;
      this.write(value);
    }
  }

  /** The parameter of a statement; NULL when there is nothing but NULLs, which costs nothing. */
  get value(): Buffer | null {
    if (!this.#hasValue) return null;
    const { buffer } = this;
    buffer.writeInt32BE(1, 0);
    buffer.writeInt32BE(this.#hasNull ? 1 : 0, 4);
    buffer.writeInt32BE(this.#type, 8);
    buffer.writeInt32BE(this.#count, 12);
    buffer.writeInt32BE(1, 16);
    return buffer.subarray(0, this.length);
  }

  /** Appends the length of a value and the value. */
  protected abstract write(value: Value): void;

  protected reserve(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(INITIAL_BYTES, this.buffer.length * 2, this.length + bytes));
    this.buffer.copy(larger, 0, 0, this.length);
    this.buffer = larger;
  }
}

export class IntegerArray extends BinaryArray<number> {
  constructor() {
    super(INT4);
  }

  protected write(value: number): void {
    this.reserve(8);
    this.length = this.buffer.writeInt32BE(4, this.length);
    this.length = this.buffer.writeInt32BE(value, this.length);
  }
}

const TWO_TO_32 = 2 ** 32;

/** Whole numbers within the safe integers; of others, what is after the point is dropped. */
export class BigintArray extends BinaryArray<number> {
  constructor() {
    super(INT8);
  }

  protected write(value: number): void {
    this.reserve(12);
    const high = Math.floor(value / TWO_TO_32);
    this.length = this.buffer.writeInt32BE(8, this.length);
    this.length = this.buffer.writeInt32BE(high, this.length);
    this.length = this.buffer.writeUInt32BE(Math.floor(value - high * TWO_TO_32), this.length);
  }
}

export class DoubleArray extends BinaryArray<number> {
  constructor() {
    super(FLOAT8);
  }

  protected write(value: number): void {
    this.reserve(12);
    this.length = this.buffer.writeInt32BE(8, this.length);
    this.length = this.buffer.writeDoubleBE(value, this.length);
  }
}

export class TextArray extends BinaryArray<string> {
  constructor() {
    super(TEXT);
  }

  protected write(value: string): void {
    this.reserve(4 + value.length * 3);
    const start = this.length + 4;
    const bytes = this.#copyAscii(value, start) ? value.length : this.buffer.write(value, start);
    this.buffer.writeInt32BE(bytes, this.length);
    this.length = start + bytes;
  }

  /** @returns False: it is too long, or not ASCII. */
  #copyAscii(value: string, start: number): boolean {
    const { length } = value;
    if (length > MAX_COPIED_LENGTH) return false;
    const { buffer } = this;
    for (let place = 0; place < length; place++) {
      const code = value.charCodeAt(place);
      if (code > 127) return false;
      buffer[start + place] = code;
    }
    return true;
  }
}

export class BytesArray extends BinaryArray<Uint8Array> {
  constructor() {
    super(BYTEA);
  }

  protected write(value: Uint8Array): void {
    this.reserve(4 + value.length);
    this.length = this.buffer.writeInt32BE(value.length, this.length);
    this.buffer.set(value, this.length);
    this.length += value.length;
  }
}
