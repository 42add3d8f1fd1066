import type { RunMessage } from "weftline";

export interface MessageRow {
  readonly run_id: string;
  readonly id: string;
  readonly sent_at: number;
  readonly kind: string;
  readonly signal_key: string | null;
  readonly body: string;
}

export function messageOf(row: MessageRow): RunMessage {
  const said = { id: row.id, runId: row.run_id, sentAt: row.sent_at };
  const body = JSON.parse(row.body) as Record<string, never>;
  switch (row.kind) {
    case "cancel":
      return {
        ...said,
        kind: "cancel",
        task: body.task,
        index: body.index!,
        downstream: body.downstream!,
        reason: body.reason,
      };
    case "rerun":
      return { ...said, kind: "rerun", tasks: body.tasks!, downstream: body.downstream!, params: body.params };
    case "signal": {
      const to = row.signal_key === null ? { task: body.task! } : { key: row.signal_key };
      return { ...said, kind: "signal", to, payload: body.payload! };
    }
    default:
      return { ...said, kind: row.kind as "resume" | "pause" | "unpause" };
  }
}

/** A message as `send` reads it, in a JSON list. */
export function messageRow(message: RunMessage): object {
  const { id, runId, sentAt, kind } = message;
  return {
    id,
    run: runId,
    sent_at: sentAt,
    kind,
    signal_key: kind === "signal" && "key" in message.to ? message.to.key : undefined,
    body: JSON.stringify(bodyOf(message)),
    is_whole: kind === "cancel" && message.task === undefined,
  };
}

function bodyOf(message: RunMessage): object {
  switch (message.kind) {
    case "cancel": {
      const { task, index, downstream, reason } = message;
      return { task, index, downstream, reason };
    }
    case "rerun": {
      const { tasks, downstream, params } = message;
      return { tasks, downstream, params };
    }
    case "signal": {
      const { to, payload } = message;
      return "task" in to ? { task: to.task, payload } : { payload };
    }
    default:
      return {};
  }
}
