/** What a process and the thread that renews its lease know of it, in memory that both of them see. */
export class LeaseBoard {
  readonly buffer: SharedArrayBuffer;
  readonly #cells: BigInt64Array;

  /** @param buffer - That of the board on the other side; a new one by default. */
  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(CELLS * BigInt64Array.BYTES_PER_ELEMENT)) {
    this.buffer = buffer;
    this.#cells = new BigInt64Array(buffer);
  }

  /** The event loop of the process turns. @param now - Milliseconds of a clock that all threads of the process share and that never goes back; so everywhere here. */
  beat(now: number): void {
    this.#write(BEAT, now);
  }

  /** When the event loop last turned. */
  get beatAt(): number {
    return this.#read(BEAT);
  }

  /** A renewal that was sent then has succeeded. */
  renewed(sentAt: number): void {
    this.#write(RENEWED, sentAt);
  }

  /** When the last renewal that succeeded was sent. */
  get renewedAt(): number {
    return this.#read(RENEWED);
  }

  /** The store said that the lease had run out before it was renewed. */
  lost(): void {
    Atomics.add(this.#cells, LOSSES, 1n);
  }

  /** How often that happened. */
  get losses(): number {
    return this.#read(LOSSES);
  }

  #read(cell: number): number {
    return Number(Atomics.load(this.#cells, cell));
  }

  #write(cell: number, value: number): void {
    Atomics.store(this.#cells, cell, BigInt(Math.floor(value)));
  }
}

const BEAT = 0;
const RENEWED = 1;
const LOSSES = 2;
const CELLS = 3;
