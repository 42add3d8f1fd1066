/** What stands in a log before its first frame, in bytes. @see https://www.sqlite.org/fileformat2.html#walformat */
export const LOG_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const PAGE_BYTES = 4_096;
export const FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES;

/** Where the log of a database stands. */
export interface LogPlace {
  /** Which log it is: another one each time that it was written back and begun anew. */
  readonly log: string;
  /** How many of its frames count. */
  readonly frames: number;
  /** How many of them are in the database file by now, and on the disk there: no power loss takes these. */
  readonly writtenBack: number;
}

/**
 * Reads the index of a log, which all connections share.
 *
 * @see https://www.sqlite.org/walformat.html#the_wal_index_file_format
 */
export function placeInLog(shm: Buffer): LogPlace {
  const word = (offset: number) => (isLittleEndian() ? shm.readUInt32LE(offset) : shm.readUInt32BE(offset));
  return { log: shm.subarray(32, 40).toString("hex"), frames: word(16), writtenBack: word(96) };
}

function isLittleEndian(): boolean {
  return new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
}

/** How many whole frames are in so many bytes of a log. */
export function framesIn(bytes: number): number {
  return Math.max(0, Math.floor((bytes - LOG_HEADER_BYTES) / FRAME_BYTES));
}

/**
 * The lengths to which a log may have been cut, in bytes: at each frame and at each 4 KiB, with one byte more and one
 * less, but never so that frames are lost that are written back already. Those were on the disk before that began.
 */
export function cutsOf(bytes: number, writtenBack: number): readonly number[] {
  const cuts = new Set<number>();
  for (let at = 0; at <= bytes; at += PAGE_BYTES) cuts.add(at);
  for (let frame = 0; LOG_HEADER_BYTES + frame * FRAME_BYTES <= bytes; frame++) {
    const at = LOG_HEADER_BYTES + frame * FRAME_BYTES;
    for (const near of [at - 1, at, at + 1, at + FRAME_HEADER_BYTES]) cuts.add(near);
  }
  cuts.add(bytes);
  return [...cuts].filter((at) => at >= 0 && at <= bytes && framesIn(at) >= writtenBack).sort((a, b) => a - b);
}
