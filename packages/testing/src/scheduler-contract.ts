import { type ContractOptions, type ContractTopic, registerCases } from "./contract-case.js";
import { type OpenScheduler, SchedulerFixture } from "./scheduler-contract/fixture.js";
import { stopping } from "./scheduler-contract/stopping.js";
import { waking } from "./scheduler-contract/waking.js";

export interface SchedulerContractOptions extends ContractOptions {
  /** A scheduler that has not been started yet. The suite starts it on a clock of its own, and stops it. */
  readonly open: OpenScheduler;
}

const TOPICS: readonly ContractTopic<SchedulerFixture>[] = [waking, stopping];

/**
 * Registers the tests every scheduler has to pass: one for each rule of the `Scheduler` contract. Time is virtual, so a
 * scheduler has to take it from `host.clock`; real work in between, such as a query, is waited for.
 *
 * @throws {TypeError} For a skip that names no case or gives no reason.
 */
export function schedulerContract(options: SchedulerContractOptions): void {
  registerCases("scheduler contract", TOPICS, options, (check) => SchedulerFixture.with(options.open, check));
}
