import {
  type CallOptions,
  type ErrorCode,
  isRunFinished,
  type RunMessage,
  type RunMessageKind,
  type RunStatus,
  type SendResult,
} from "weftline";
import type { Connection, Row } from "./connection.js";
import { deadlineOf, fromJson, stateOf } from "./rows.js";
import { assignSignals, awaitsSignals } from "./signals.js";
import { moveTags, TAGGED_RUN, type TaggedRun } from "./tags.js";

type Addressee = TaggedRun & { readonly state: string | null; readonly available_at: number };

/** Leaves messages to runs, inside of a write. */
export function sendMessages(connection: Connection, messages: readonly RunMessage[]): readonly SendResult[] {
  return messages.map((message) => accept(connection, message));
}

function accept(connection: Connection, message: RunMessage): SendResult {
  const run = connection.get<Addressee>(
    `SELECT state, available_at, ${TAGGED_RUN} FROM weftline_runs WHERE id = ?`,
    message.runId,
  );
  if (run === undefined) return { kind: "refused", code: "RUN_UNKNOWN" };
  const refusal = refusalOf(message, run.status as RunStatus);
  if (refusal !== undefined) return { kind: "refused", code: refusal };
  if (message.kind === "resume" || message.kind === "rerun") openAgain(connection, run);
  if (message.kind === "cancel" && message.task === undefined) makeDue(connection, run, message.sentAt);
  put(connection, run.n, message);
  return { kind: "sent" };
}

/** Why a run in this status cannot be told that. */
function refusalOf({ kind }: RunMessage, status: RunStatus): ErrorCode | undefined {
  const isFinished = isRunFinished(status);
  if (kind === "rerun") return isFinished ? undefined : "RUN_ACTIVE";
  if (kind !== "resume") return isFinished ? "RUN_FINISHED" : undefined;
  if (!isFinished) return "RUN_ACTIVE";
  return status === "succeeded" ? "RUN_FINISHED" : undefined;
}

function openAgain(connection: Connection, run: Addressee): void {
  connection.run(
    "UPDATE weftline_runs SET status = 'queued', crashes = 0, finished_at = NULL, state = ? WHERE n = ?",
    stateOf({ deadlineAt: deadlineOf(run.state), error: undefined }),
    run.n,
  );
  moveTags(connection, run, { status: "queued" });
}

function makeDue(connection: Connection, run: Addressee, sentAt: number): void {
  if (sentAt >= run.available_at) return;
  connection.run("UPDATE weftline_runs SET available_at = ?, ready = 1 WHERE n = ?", sentAt, run.n);
}

function put(connection: Connection, run: number, message: RunMessage): void {
  const { id, runId: _, sentAt, kind, ...body } = message;
  connection.run(
    `INSERT INTO weftline_messages (id, run, key, sent_at, kind, body) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (run, id) WHERE run IS NOT NULL DO UPDATE SET
       key = excluded.key, sent_at = excluded.sent_at, kind = excluded.kind, body = excluded.body`,
    id,
    run,
    message.kind === "signal" && "key" in message.to ? message.to.key : null,
    sentAt,
    kind,
    JSON.stringify(body),
  );
}

const MESSAGES_OF = `FROM weftline_messages m INDEXED BY weftline_messages_run
  CROSS JOIN weftline_runs r ON r.n = m.run AND r.owner = ?
  WHERE m.run IS NOT NULL`;

/** Whether {@link receiveMessages} would find something. */
export function hasMessages(connection: Connection, engineId: string): boolean {
  if (connection.get(`SELECT 1 ${MESSAGES_OF} LIMIT 1`, engineId) !== undefined) return true;
  return awaitsSignals(connection, engineId);
}

/** Takes the messages of an engine's runs, the oldest first. Writes only where there are signals to move. */
export async function receiveMessages(
  connection: Connection,
  engineId: string,
  options: CallOptions | undefined,
): Promise<readonly RunMessage[]> {
  if (await connection.read(() => awaitsSignals(connection, engineId), options)) {
    await connection.write(() => assignSignals(connection, engineId), options);
  }
  const sql = `SELECT m.id, m.sent_at, m.kind, m.body, r.id AS run_id ${MESSAGES_OF} ORDER BY m.arrival`;
  const rows = await connection.read(() => connection.all(sql, engineId), options);
  return rows.map(messageOf);
}

/** What JSON leaves out where it is undefined, and every message of this kind has. */
const OPTIONAL: { readonly [Kind in RunMessageKind]?: object } = {
  cancel: { task: undefined, reason: undefined },
  rerun: { params: undefined },
};

function messageOf(row: Row): RunMessage {
  const kind = row.kind as RunMessageKind;
  const message = { id: row.id, runId: row.run_id, sentAt: row.sent_at, kind };
  return { ...message, ...OPTIONAL[kind], ...fromJson<object>(row.body) } as RunMessage;
}
