const DIGITS = 36;

/**
 * The index of an item as text that sorts, byte by byte, as the numbers do: each number with base 36 digits, after a
 * digit that says how many they are. The path of what an item is a part of is the beginning of its own.
 */
export function pathOf(index: readonly number[]): string {
  if (index.length === 0) return "";
  let path = "";
  for (const number of index) {
    const digits = number.toString(DIGITS);
    path += digits.length.toString(DIGITS) + digits;
  }
  return path;
}

const NO_INDEX: readonly number[] = Object.freeze([]);

export function indexOf(path: string): readonly number[] {
  if (path === "") return NO_INDEX;
  const index: number[] = [];
  for (let place = 0; place < path.length; ) {
    const length = Number.parseInt(path[place]!, DIGITS);
    index.push(Number.parseInt(path.slice(place + 1, place + 1 + length), DIGITS));
    place += 1 + length;
  }
  return index;
}
