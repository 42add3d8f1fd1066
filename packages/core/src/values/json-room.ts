/** Returned instead of the room left when a value does not fit or is not plain JSON data. */
const NO_ROOM = -1;

/**
 * Whether `JSON.stringify()` carries a value without losing anything, and about how long the text gets. No paths
 * or sets are made here, as this runs for every task; why a value does not fit is found out elsewhere.
 *
 * @param room - Characters left for the text. Each part counts with the least it can take, so that no value that fits
 *   is turned away.
 * @param depth - Levels left.
 * @returns The room left after this value; negative when it is not plain JSON data, too large or too deep.
 * @throws Whatever a getter or a proxy of the value throws.
 */
export function jsonRoom(value: unknown, room: number, depth: number): number {
  switch (typeof value) {
    case "string":
      return room - value.length - 2;
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0) ? room - 1 : NO_ROOM;
    case "boolean":
      return room - 4;
    case "object":
      if (value === null) return room - 4;
      if (depth <= 0) return NO_ROOM;
      return Array.isArray(value) ? arrayRoom(value, room, depth) : objectRoom(value, room, depth);
    default:
      return NO_ROOM;
  }
}

function arrayRoom(array: readonly unknown[], room: number, depth: number): number {
  if (Object.getPrototypeOf(array) !== Array.prototype || hasToJson(array)) return NO_ROOM;
  let left = room - 1;
  // A hole reads as undefined, which is not JSON.
  for (let index = 0; index < array.length; index += 1) {
    left = jsonRoom(array[index], left - 1, depth - 1);
    if (left < 0) return NO_ROOM;
  }
  return left;
}

function objectRoom(object: object, room: number, depth: number): number {
  if (Object.getPrototypeOf(object) !== Object.prototype || hasToJson(object)) return NO_ROOM;
  if (Object.getOwnPropertySymbols(object).length > 0) return NO_ROOM;
  let left = room - 1;
  // for…in, not Object.keys(), which allocates. Should someone have extended Object.prototype, the inherited keys are
  // counted too: harmless, as only the estimate grows.
  for (const key in object) {
    left = jsonRoom((object as Record<string, unknown>)[key], left - key.length - 4, depth - 1);
    if (left < 0) return NO_ROOM;
  }
  return left;
}

/** JSON.stringify() would call it, also when it is inherited or not enumerable. */
function hasToJson(value: object): boolean {
  return typeof (value as { toJSON?: unknown }).toJSON === "function";
}
