import { AssertionError } from "node:assert";
import { inspect, isDeepStrictEqual } from "node:util";

/** How much of a value a message shows. */
const SHOWN = { depth: 6, maxArrayLength: 20, maxStringLength: 400, breakLength: 100 } as const;
const MAX_DIFFERENCES = 10;

/**
 * `assert.deepEqual` with a message of bounded size, which names the places that differ. Node's own (22.23, 24.21)
 * compares the printed values line by line in quadratic memory: 1,000 bytes in a record took 5 s, 10,000 killed the
 * process.
 *
 * @throws {AssertionError} When the values are not equal, as `isDeepStrictEqual` judges it.
 */
export function assertEqual(actual: unknown, expected: unknown, message?: string): void {
  if (isDeepStrictEqual(actual, expected)) return;
  const lines = firstOf(differences(actual, expected, ""), MAX_DIFFERENCES);
  const where = lines.length === 0 ? [difference("", actual, expected)] : lines;
  const text = [message ?? "the values differ", ...where].join("\n  ");
  throw new AssertionError({ message: text, actual, expected, operator: "assertEqual" });
}

function firstOf(lines: Iterable<string>, limit: number): string[] {
  const first: string[] = [];
  for (const line of lines) if (first.push(line) === limit) break;
  return first;
}

function* differences(actual: unknown, expected: unknown, path: string): Generator<string> {
  if (isDeepStrictEqual(actual, expected)) return;
  if (!isContainer(actual) || !isContainer(expected) || Array.isArray(actual) !== Array.isArray(expected)) {
    yield difference(path, actual, expected);
    return;
  }
  for (const key of new Set([...Object.keys(actual), ...Object.keys(expected)])) {
    yield* differences(actual[key], expected[key], Array.isArray(actual) ? `${path}[${key}]` : `${path}.${key}`);
  }
}

/** Lists and plain objects are walked into; everything else is shown whole. */
function isContainer(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
}

function difference(path: string, actual: unknown, expected: unknown): string {
  return `${path === "" ? "the value" : `at ${path}`}: expected ${inspect(expected, SHOWN)}, found ${inspect(actual, SHOWN)}`;
}
