/** What durable engines are given to do: the same for all of them. */
export type Workload = Chains | Parallel;

/** So many runs, all started at once, each of so many tasks one after the other. */
export interface Chains {
  readonly kind: "chains";
  readonly runs: number;
  readonly tasks: number;
  readonly work: WorkName;
}

/** One run of so many tasks that do not depend on each other. */
export interface Parallel {
  readonly kind: "parallel";
  readonly tasks: number;
}

const FIBONACCI = 10;

let calls = 0;

/** What tasks do. All of them count, and give a promise, as peers want their functions to. */
export const WORKS = {
  "no-op": async (): Promise<void> => {
    calls++;
  },
  fibonacci: async (): Promise<number> => {
    calls++;
    return fibonacci(FIBONACCI);
  },
} as const;
export type WorkName = keyof typeof WORKS;

/** How many tasks have run in this process: whoever leaves tasks out would look fast. */
export function tasksRun(): number {
  return calls;
}

export function tasksIn(workload: Workload): number {
  return workload.kind === "chains" ? workload.runs * workload.tasks : workload.tasks;
}

/** The whole numbers from 0, as many as are asked for. */
export function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

function fibonacci(n: number): number {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}
