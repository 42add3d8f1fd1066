import type { Effort } from "../report.js";
import type { Chains, Workload } from "./workloads.js";

/** A workload, what tables call it, and how it is measured. */
export interface Assignment {
  readonly title: string;
  readonly workload: Workload;
  readonly warmUp: Workload;
  /** How often it is done in each process. */
  readonly rounds: number;
}

const ROUNDS = 5;
const FIBONACCI_ROUNDS = 50;
const LATENCY_ROUNDS = 500;

const SIZES = { runs: 100, tasks: 100, parallel: 10_000, single: 2_000, small: 20 };
const QUICK_SIZES = { runs: 10, tasks: 10, parallel: 300, single: 50, small: 2 };
const FIBONACCI_TASKS = 40;

/** Many runs, each a chain of tasks. */
export function chains({ isQuick }: Effort): Assignment {
  const { runs, tasks, small } = isQuick ? QUICK_SIZES : SIZES;
  return {
    title: `${runs} runs × ${tasks} tasks in sequence`,
    workload: chain(runs, tasks),
    warmUp: chain(small, small),
    rounds: ROUNDS,
  };
}

/** One run of tasks that do not depend on each other. @param most - How many a contender is given at the most. */
export function parallel({ isQuick }: Effort, most = SIZES.parallel): Assignment {
  const tasks = Math.min(most, (isQuick ? QUICK_SIZES : SIZES).parallel);
  return {
    title: "1 run of parallel tasks",
    workload: { kind: "parallel", tasks },
    warmUp: { kind: "parallel", tasks: Math.ceil(tasks / 10) },
    rounds: ROUNDS,
  };
}

/** Many runs of one task, all started at once. */
export function singles({ isQuick }: Effort): Assignment {
  const { single } = isQuick ? QUICK_SIZES : SIZES;
  return {
    title: `${single.toLocaleString("en")} runs × 1 task`,
    workload: chain(single, 1),
    warmUp: chain(single / 10, 1),
    rounds: ROUNDS,
  };
}

/** One run whose tasks compute something, one after the other. */
export function fibonaccis(): Assignment {
  const workload: Chains = { kind: "chains", runs: 1, tasks: FIBONACCI_TASKS, work: "fibonacci" };
  return {
    title: `1 run × ${FIBONACCI_TASKS} tasks in sequence, fibonacci(10)`,
    workload,
    warmUp: workload,
    rounds: FIBONACCI_ROUNDS,
  };
}

/** One run of one task, again and again. */
export function one(): Assignment {
  return { title: "1 run × 1 task", workload: chain(1, 1), warmUp: chain(1, 1), rounds: LATENCY_ROUNDS };
}

function chain(runs: number, tasks: number): Chains {
  return { kind: "chains", runs, tasks, work: "no-op" };
}
