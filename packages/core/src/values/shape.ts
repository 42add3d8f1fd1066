import { types } from "node:util";

/** What an object is, as far as storing it is concerned. `"instance"` is everything that has no stored form. */
export type Shape =
  | { readonly is: "plain" | "null-prototype"; readonly value: Readonly<Record<string, unknown>> }
  | { readonly is: "array"; readonly value: readonly unknown[] }
  | { readonly is: "map"; readonly value: ReadonlyMap<unknown, unknown> }
  | { readonly is: "set"; readonly value: ReadonlySet<unknown> }
  | { readonly is: "error"; readonly value: Error }
  | { readonly is: "date"; readonly value: Date }
  | { readonly is: "regexp"; readonly value: RegExp }
  | { readonly is: "url"; readonly value: URL }
  | { readonly is: "buffer"; readonly value: Buffer }
  | { readonly is: "typed-array"; readonly value: NodeJS.TypedArray }
  | { readonly is: "array-buffer"; readonly value: ArrayBuffer }
  | { readonly is: "instance"; readonly value: object };

/**
 * Recognises objects of other realms too, such as those a test runner's `vm` context makes. A class that extends a
 * built-in is an instance: it would come back without its methods. Errors are the exception, as nearly all extend one.
 *
 * @throws Whatever a proxy's traps throw.
 */
export function shapeOf(value: object): Shape {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null) return { is: "null-prototype", value: value as Record<string, unknown> };
  if (types.isNativeError(value) || value instanceof Error) return { is: "error", value };
  switch (prototypeCount(value)) {
    case 1:
      return isPlain(value, prototype as object)
        ? { is: "plain", value: value as Record<string, unknown> }
        : { is: "instance", value };
    case 2:
      return builtInShape(value);
    case 3:
      return types.isTypedArray(value) ? { is: "typed-array", value } : { is: "instance", value };
    case 4:
      return Object.getPrototypeOf(value) === Buffer.prototype
        ? { is: "buffer", value: value as Buffer }
        : { is: "instance", value };
    default:
      return { is: "instance", value };
  }
}

/** Not so: `Math` and the like, and an object whose only prototype is one someone made without a prototype. */
function isPlain(value: object, prototype: object): boolean {
  return Object.hasOwn(prototype, "isPrototypeOf") && typeTag(value) === "Object";
}

/** The built-ins whose prototype inherits from `Object.prototype` directly. */
function builtInShape(value: object): Shape {
  if (Array.isArray(value)) return { is: "array", value };
  if (types.isDate(value)) return { is: "date", value };
  if (types.isMap(value)) return { is: "map", value };
  if (types.isSet(value)) return { is: "set", value };
  if (types.isRegExp(value)) return { is: "regexp", value };
  if (types.isArrayBuffer(value)) return { is: "array-buffer", value };
  if (value instanceof URL) return { is: "url", value };
  return { is: "instance", value };
}

/** Length of the prototype chain; 5 stands for five and more. */
function prototypeCount(value: object): number {
  let count = 0;
  for (let next = Object.getPrototypeOf(value); next !== null && count < 5; next = Object.getPrototypeOf(next)) {
    count += 1;
  }
  return count;
}

/** The name of an object's class for a message; never throws. */
export function className(value: object): string {
  try {
    const name: unknown = (Object.getPrototypeOf(value) as object | null)?.constructor?.name;
    const known = typeof name === "string" && name !== "" && name !== "Object" ? name : typeTag(value);
    return types.isProxy(value) ? `Proxy of ${known}` : known;
  } catch {
    return "unknown";
  }
}

/** `Object`, `Map`, `Math`, …, as `Object.prototype.toString()` tells it. */
function typeTag(value: object): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}
