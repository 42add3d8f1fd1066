import fc, { type Arbitrary } from "fast-check";

/**
 * Something to call the library with, under a name that says how it is made. It is made only when it is used: each call
 * gets its own, and nothing that reports a failure ever touches a revoked proxy.
 */
export interface Case {
  readonly name: string;
  make(): unknown;
}

/** What hostile code threw when the library read it: the caller's own, which may come back to the caller as it is. */
const thrown: unknown[] = [];
const MAX_REMEMBERED = 1_000;

/** Throws what is the caller's own. */
export function throwOwn(value: unknown): never {
  if (thrown.push(value) > MAX_REMEMBERED) thrown.shift();
  throw value;
}

/** Whether code of the caller threw exactly this. */
export function isOwn(value: unknown): boolean {
  return thrown.some((own) => Object.is(own, value));
}

export function sure(name: string, make: () => unknown): Arbitrary<Case> {
  return fc.constant({ name, make });
}

/** Values that are the same whenever they are made. */
export function values(...all: readonly unknown[]): Arbitrary<Case> {
  return fc.constantFrom(...all.map((value) => ({ name: nameOf(value), make: () => value })));
}

/** `times` out of five of them as `usual` says, so that what lies behind the first check is reached as well. */
export function mostly(usual: Arbitrary<Case>, other: Arbitrary<Case>, times = 3): Arbitrary<Case> {
  return fc.oneof({ weight: times, arbitrary: usual }, { weight: 5 - times, arbitrary: other });
}

/** An object with some of these properties; those of `required` are always there. */
export function objectOf(
  properties: Readonly<Record<string, Arbitrary<Case>>>,
  required: Readonly<Record<string, Arbitrary<Case>>> = {},
): Arbitrary<Case> {
  const names = Object.keys(properties);
  const some = fc
    .subarray(names, { maxLength: Math.min(3, names.length) })
    .chain((chosen) => allOf(chosen.map((name) => [name, properties[name]!])));
  const all = allOf(Object.entries(required));
  return fc.tuple(all, some).map(([fixed, chosen]) => {
    const parts = [...fixed, ...chosen];
    return {
      name: `{ ${parts.map(([name, value]) => `${name}: ${value.name}`).join(", ")} }`,
      make: () => Object.fromEntries(parts.map(([name, value]) => [name, value.make()])),
    };
  });
}

/** A list of up to three. */
export function listOf(item: Arbitrary<Case>): Arbitrary<Case> {
  return fc.array(item, { maxLength: 3 }).map((items) => ({
    name: `[${items.map(({ name }) => name).join(", ")}]`,
    make: () => items.map((one) => one.make()),
  }));
}

function allOf(
  entries: readonly (readonly [string, Arbitrary<Case>])[],
): Arbitrary<readonly (readonly [string, Case])[]> {
  return fc.tuple(...entries.map(([name, value]) => value.map((made) => [name, made] as const)));
}

const MAX_NAME = 60;

/** A value as it is written, as far as that is possible. */
function nameOf(value: unknown): string {
  if (typeof value === "string") {
    const text = JSON.stringify(value);
    return text.length <= MAX_NAME ? text : `${text.slice(0, MAX_NAME)}… (${value.length} characters)`;
  }
  if (typeof value === "bigint") return `${value}n`;
  if (Object.is(value, -0)) return "-0";
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
}
