/** Each field of the query is a value to equal, or a list of which the record's value is one; `index` is compared as a path. */
export function matches(record: object, query: object): boolean {
  for (const [field, wanted] of Object.entries(query)) {
    if (wanted === undefined) continue;
    const value = (record as Readonly<Record<string, unknown>>)[field];
    if (field === "index" ? !samePath(value as readonly number[], wanted) : !isWanted(value, wanted)) return false;
  }
  return true;
}

export function samePath(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((item, place) => item === b[place]);
}

function isWanted(value: unknown, wanted: unknown): boolean {
  return Array.isArray(wanted) ? wanted.includes(value) : value === wanted;
}
