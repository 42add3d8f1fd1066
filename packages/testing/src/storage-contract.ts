import type { HostTransaction, Storage } from "weftline";
import { type ContractOptions, type ContractTopic, registerCases } from "./contract-case.js";
import { cache } from "./storage-contract/cache.js";
import { capabilities } from "./storage-contract/capabilities.js";
import { claims } from "./storage-contract/claims.js";
import { commits } from "./storage-contract/commits.js";
import { creation } from "./storage-contract/creation.js";
import { deaths } from "./storage-contract/deaths.js";
import { definitions } from "./storage-contract/definitions.js";
import { deletion } from "./storage-contract/deletion.js";
import { StorageFixture } from "./storage-contract/fixture.js";
import { generations } from "./storage-contract/generations.js";
import { heldLeases } from "./storage-contract/held-leases.js";
import { history } from "./storage-contract/history.js";
import { inbox } from "./storage-contract/inbox.js";
import { leases } from "./storage-contract/leases.js";
import { lifecycle } from "./storage-contract/lifecycle.js";
import { limits } from "./storage-contract/limits.js";
import { loading } from "./storage-contract/loading.js";
import { looking } from "./storage-contract/look.js";
import { pruning } from "./storage-contract/pruning.js";
import { remapping } from "./storage-contract/remapping.js";
import { schedules } from "./storage-contract/schedules.js";
import { schemas } from "./storage-contract/schema.js";
import { signals } from "./storage-contract/signals.js";
import { steps } from "./storage-contract/steps.js";
import { surveys } from "./storage-contract/survey.js";
import { suspects } from "./storage-contract/suspects.js";
import { transactions } from "./storage-contract/transactions.js";
import { values } from "./storage-contract/values.js";

export interface StorageContractOptions extends ContractOptions {
  /**
   * A store that has not been opened yet. The suite opens and closes it; a place it names again has to hold the same
   * data, if the store is durable or for many processes, and a new place none.
   *
   * @param place - Letters, digits and `-`: fit for the name of a file, a schema or a prefix.
   */
  readonly open: (place: string) => Storage | Promise<Storage>;
  /**
   * Runs `work` in a transaction of the host's on the data of `storage`, commits it, or rolls it back and rejects when
   * `work` rejects. To be given exactly when `supports.hostTransactions` is true.
   */
  readonly transaction?: (storage: Storage, work: (tx: HostTransaction) => Promise<void>) => Promise<void>;
}

const TOPICS: readonly ContractTopic<StorageFixture>[] = [
  capabilities,
  transactions,
  schemas,
  lifecycle,
  leases,
  heldLeases,
  deaths,
  creation,
  claims,
  suspects,
  limits,
  commits,
  loading,
  remapping,
  generations,
  steps,
  values,
  inbox,
  signals,
  looking,
  surveys,
  history,
  cache,
  definitions,
  schedules,
  deletion,
  pruning,
];

/**
 * Registers the tests every storage has to pass: one for each rule of the `Storage` contract. Leases are short, so that
 * stores that judge them by a server's clock are done within seconds.
 *
 * @throws {TypeError} For a skip that names no case or gives no reason.
 */
export function storageContract(options: StorageContractOptions): void {
  const source = { open: options.open, transaction: options.transaction };
  registerCases("storage contract", TOPICS, options, (check) => StorageFixture.with(source, check));
}
