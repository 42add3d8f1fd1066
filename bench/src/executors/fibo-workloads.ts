/** Where tasks run. */
export const EXECUTORS = ["in-process", "threads", "processes"] as const;
export type ExecutorName = (typeof EXECUTORS)[number];

/** How many tasks, of which number, and what that is. */
export const WORKLOADS = {
  short: { tasks: 40, n: 10, result: 55 },
  long: { tasks: 10, n: 33, result: 3_524_578 },
  /** Instead of the long one, where nobody has time for that. */
  quick: { tasks: 10, n: 20, result: 6_765 },
} as const;
export type WorkloadName = keyof typeof WORKLOADS;

export function fibonacci(n: number): number {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}
