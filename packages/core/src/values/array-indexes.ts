/** The largest index an array can have. */
const MAX_ARRAY_INDEX = 2 ** 32 - 2;

/** The indexes an array has, ascending and without its holes: takes as long as there are elements, not holes. */
export function presentIndexes(array: readonly unknown[]): number[] {
  const indexes: number[] = [];
  for (const key of Object.keys(array)) {
    const index = Number(key);
    // Indexes come first among the keys, named properties after them.
    if (String(index >>> 0) !== key || index > MAX_ARRAY_INDEX) break;
    indexes.push(index);
  }
  return indexes;
}

/** An array of that many holes, which takes no memory for them. */
export function arrayOfHoles(length: number): unknown[] {
  const array: unknown[] = [];
  // Setting the length alone reserves memory for every hole; with an element far out, V8 keeps a table instead.
  array[MAX_ARRAY_INDEX] = undefined;
  delete array[MAX_ARRAY_INDEX];
  array.length = length;
  return array;
}
