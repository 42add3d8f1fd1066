import jpeg from "jpeg-js";

/** An image in memory: four bytes a pixel (red, green, blue, alpha), row by row from the top. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** A photograph larger than this is refused before its pixels fill the memory. */
const MAX_MEGAPIXELS = 50;

/** @throws {Error} For what is no JPEG, or too large. */
export function decodeJpeg(file: Uint8Array): Pixels {
  return jpeg.decode(file, { useTArray: true, maxResolutionInMP: MAX_MEGAPIXELS });
}

/** @param quality - From 1 to 100. */
export function encodeJpeg({ width, height, data }: Pixels, quality: number): Uint8Array {
  return jpeg.encode({ width, height, data: Buffer.from(data.buffer, data.byteOffset, data.byteLength) }, quality).data;
}
