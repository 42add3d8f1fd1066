import type { ErrorCode, KeyedSignal, RunMessage, SendResult } from "weftline";
import type { Connections } from "./connections.js";
import { type MessageRow, messageOf, messageRow } from "./message-rows.js";

/** What is said to runs, and the signals that wait for a task. */
export class Inbox {
  readonly #connections: Connections;

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  async send(messages: readonly RunMessage[]): Promise<readonly SendResult[]> {
    const [row] = await this.#connections.call({
      text: "SELECT {schema}.send_v1($1) AS answers",
      values: [JSON.stringify(messages.map(messageRow))],
    });
    return (row!.answers as (string | null)[]).map((code) => {
      return code === null ? { kind: "sent" } : { kind: "refused", code: code as ErrorCode };
    });
  }

  async sendSignals(signals: readonly KeyedSignal[]): Promise<void> {
    await this.#connections.query({
      text: `INSERT INTO {schema}.signals (id, key, payload, sent_at)
          SELECT n.id, n.key, n.payload, n.sent_at
            FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) n(id, key, payload, sent_at)
          ON CONFLICT DO NOTHING`,
      values: [
        signals.map(({ id }) => id),
        signals.map(({ key }) => key),
        signals.map(({ payload }) => payload),
        signals.map(({ sentAt }) => sentAt),
      ],
      isRepeatable: true,
    });
  }

  async receive(engineId: string): Promise<readonly RunMessage[]> {
    const rows = await this.#connections.call({
      text: "SELECT run_id, id, sent_at, kind, signal_key, body FROM {schema}.receive_v1($1)",
      values: [engineId],
      isRepeatable: true,
    });
    return rows.map((row) => messageOf(row as unknown as MessageRow));
  }
}
