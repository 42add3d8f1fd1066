import { bareCommit, barePostgres } from "./bare-postgres.js";
import { bareSqlite } from "./bare-sqlite.js";
import { bullmqFlows } from "./bullmq.js";
import type { DurableContender } from "./contender.js";
import { dbos } from "./dbos.js";
import { openWorkflowOnPostgres, openWorkflowOnSqlite } from "./openworkflow.js";
import { weftlineOnPostgres, weftlineOnSqlite } from "./weftline.js";

/** Everybody who keeps what happened, by the name in the tables. */
export const DURABLE_CONTENDERS = {
  weftline: weftlineOnPostgres,
  DBOS: dbos,
  OpenWorkflow: openWorkflowOnPostgres,
  "BullMQ flows, not durable": bullmqFlows,
  "bare loop": barePostgres,
  "bare commit": bareCommit,
  "weftline, full": weftlineOnSqlite("full"),
  "OpenWorkflow, full": openWorkflowOnSqlite("full"),
  "bare loop, full": bareSqlite("full"),
  "weftline, normal": weftlineOnSqlite("normal"),
  "OpenWorkflow, normal": openWorkflowOnSqlite("normal"),
  "bare loop, normal": bareSqlite("normal"),
} as const satisfies Record<string, DurableContender>;
export type DurableName = keyof typeof DURABLE_CONTENDERS;
