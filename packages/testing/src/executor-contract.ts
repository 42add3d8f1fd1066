import { type ContractOptions, type ContractTopic, registerCases } from "./contract-case.js";
import { aborting } from "./executor-contract/aborting.js";
import { answers } from "./executor-contract/answers.js";
import { cache } from "./executor-contract/cache.js";
import { context } from "./executor-contract/context.js";
import { ExecutorFixture, type OpenExecutor } from "./executor-contract/fixture.js";
import { outcomes } from "./executor-contract/outcomes.js";
import { port } from "./executor-contract/port.js";
import { slotsAndStop } from "./executor-contract/slots-and-stop.js";
import { steps } from "./executor-contract/steps.js";

export interface ExecutorContractOptions extends ContractOptions {
  /**
   * An executor that has not been started yet, for the pipelines it is given; workers import these from
   * `@weftline/testing/contract-pipelines`. The suite starts and stops it.
   */
  readonly open: OpenExecutor;
}

const TOPICS: readonly ContractTopic<ExecutorFixture>[] = [
  outcomes,
  answers,
  context,
  port,
  steps,
  cache,
  aborting,
  slotsAndStop,
];

/**
 * Registers the tests every executor has to pass: one for each rule of the `Executor` contract.
 *
 * @throws {TypeError} For a skip that names no case or gives no reason.
 */
export function executorContract(options: ExecutorContractOptions): void {
  registerCases("executor contract", TOPICS, options, (check) => ExecutorFixture.with(options.open, check));
}
