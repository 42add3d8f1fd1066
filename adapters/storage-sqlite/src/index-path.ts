/**
 * Where an item stands in its map, as text in the order of listings: each number behind a letter for how many digits it
 * has. `[]` is ``, `[3]` is `a3`, `[3, 10]` is `a3b10`. A place comes before those below it, and 9 before 10.
 */
export function pathOf(index: readonly number[]): string {
  if (index.length === 0) return "";
  let path = "";
  for (const number of index) {
    const digits = String(number);
    path += String.fromCharCode(BEFORE_A + digits.length) + digits;
  }
  return path;
}

export function indexOf(path: string): readonly number[] {
  return path === "" ? [] : path.split(/[a-z]/).slice(1).map(Number);
}

/** The paths of the lists that a place stands in, the outermost first: of `a3b10` these are `` and `a3`. */
export function pathsAround(path: string): readonly string[] {
  const around: string[] = [];
  for (const { index } of path.matchAll(/[a-z]/g)) around.push(path.slice(0, index));
  return around;
}

const BEFORE_A = "a".charCodeAt(0) - 1;
