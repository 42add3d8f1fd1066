import { connect } from "node:net";
import type { PoolClient } from "pg";

const MESSAGE_BYTES = 16;
const CANCEL_REQUEST = 80_877_102;
const GIVE_UP_MS = 5_000;

/** What a client of `pg` knows of its connection; its types do not tell. */
interface Connected {
  readonly host?: string;
  readonly port: number;
  readonly processID: number | null;
  readonly secretKey: number | null;
}

/**
 * Asks the server to give up what it does for a client that nobody waits for any more: it would go on, and hold its
 * locks, until it has something to say. Best effort, on a connection of its own as the protocol has it; poolers pass it on.
 */
export function cancelQuery(client: PoolClient): void {
  const { host = "localhost", port, processID, secretKey } = client as unknown as Connected;
  if (processID === null || secretKey === null) return;
  const message = Buffer.alloc(MESSAGE_BYTES);
  message.writeInt32BE(MESSAGE_BYTES, 0);
  message.writeInt32BE(CANCEL_REQUEST, 4);
  message.writeInt32BE(processID, 8);
  message.writeInt32BE(secretKey, 12);
  const socket = host.startsWith("/") ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host);
  socket.unref();
  socket.setTimeout(GIVE_UP_MS, () => socket.destroy());
  socket.on("error", () => socket.destroy());
  socket.end(message);
}
