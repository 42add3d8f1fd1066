import { JOINING_TRANSACTIONS } from "../sound-storages.js";
import type { Fault } from "./fault.js";

/** Stores that go wrong in transactions of the host. */
export const TRANSACTION_FAULTS: readonly Fault[] = [
  [
    "claims to join transactions and does not say how",
    (inner) => ({ supports: { ...inner.supports, hostTransactions: true } }),
    "hostTransactions: createRuns() joins the host's transaction, and is undone with it",
  ],
  [
    "leaves a run behind when the transaction is rolled back",
    (inner) => ({ createRuns: (runs) => inner.createRuns(runs) }),
    "hostTransactions: createRuns() joins the host's transaction, and is undone with it",
    JOINING_TRANSACTIONS,
  ],
  [
    "shows a run before it is committed",
    (inner) => ({
      async createRuns(runs, options) {
        if (options?.tx !== undefined) await inner.createRuns(runs);
        return inner.createRuns(runs, options);
      },
    }),
    "hostTransactions: nobody sees or claims a run before the host has committed it, and anybody can then",
    JOINING_TRANSACTIONS,
  ],
  [
    "fails for a key that is taken, and the transaction with it",
    (inner) => ({
      async createRuns(runs, options) {
        const answers = await inner.createRuns(runs, options);
        if (answers.some(({ kind }) => kind === "conflict")) throw new Error("current transaction is aborted");
        return answers;
      },
    }),
    "hostTransactions: createRuns() answers for known ids and keys as ever, and the transaction goes on",
    JOINING_TRANSACTIONS,
  ],
  [
    "never calls afterCommit()",
    (inner) => ({
      createRuns: (runs, { tx } = {}) =>
        inner.createRuns(runs, { tx: tx && { query: (sql, parameters) => tx.query(sql, parameters) } }),
    }),
    "hostTransactions: afterCommit() gives the hint that there are runs, where the store gives hints",
    JOINING_TRANSACTIONS,
  ],
];
