import type { Expectation } from "../define/options.js";

/** What was not as a task expects. */
export interface Unmet {
  readonly severity: "error" | "warning";
  /** With the measured value and the bound. */
  readonly message: string;
}

/**
 * Compares what a task put out and measured with its bounds.
 *
 * @param measured - The last value of each metric.
 */
export function unmetExpectations(
  expect: Readonly<Record<string, Expectation>>,
  output: unknown,
  measured: ReadonlyMap<string, number>,
): readonly Unmet[] {
  return Object.entries(expect).flatMap(([name, { min, max, severity = "error" }]) => {
    const isOutput = name === "output" || name.startsWith("output.");
    const value = isOutput ? readPath(output, name) : measured.get(name);
    const problem = problemOf(value, min, max);
    return problem === undefined ? [] : [{ severity, message: `${name} ${problem}` }];
  });
}

function problemOf(value: unknown, min: number | undefined, max: number | undefined): string | undefined {
  if (typeof value !== "number") return value === undefined ? "was not measured" : `is no number but ${typeof value}`;
  if (Number.isNaN(value)) return "is NaN";
  if (min !== undefined && value < min) return `is ${value}, below the minimum of ${min}`;
  if (max !== undefined && value > max) return `is ${value}, above the maximum of ${max}`;
  return undefined;
}

/** The value at a path such as `output.rows.length`; `undefined` where there is none. */
function readPath(output: unknown, path: string): unknown {
  let value = output;
  for (const key of path.split(".").slice(1)) {
    if (value === null || value === undefined) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return value;
}
