import { connect, createServer, type Socket } from "node:net";
import { listen } from "./free-port.js";

/** A door in front of a Postgres that counts who goes through. */
export interface Door {
  /** The server, through the door. */
  readonly url: string;
  /** How many requests that wait for an answer have passed so far, on all connections together. */
  count(): number;
  close(): Promise<void>;
}

/** Messages of the frontend after which it waits for the server: a simple query, a sync, a function call. */
const REQUESTS = new Set(["Q", "S", "F"].map((letter) => letter.charCodeAt(0)));
/** What a client sends first has no type: its length, then a code. These codes ask for encryption, and more follows. */
const START_BYTES = 8;
const HEADER_BYTES = 5;
const ENCRYPTION_CODES = [80_877_103, 80_877_104];

/** Counts on the wire, so that every connection of a process is seen, those of its threads and drivers too. */
export async function openDoor(url: string): Promise<Door> {
  const inside = new URL(url);
  const sockets = new Set<Socket>();
  let requests = 0;
  const server = createServer((client) => {
    const counter = requestCounter(() => requests++);
    const upstream = connect(Number(inside.port || 5432), inside.hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket.setNoDelay(true));
      socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    }
    client.on("data", counter).pipe(upstream);
    upstream.pipe(client);
  });
  const port = await listen(server);
  const outside = new URL(url);
  outside.hostname = "127.0.0.1";
  outside.port = String(port);
  return {
    url: outside.href,
    count: () => requests,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Follows what one client sends. */
function requestCounter(onRequest: () => void): (chunk: Buffer) => void {
  const header = Buffer.alloc(START_BYTES);
  let filled = 0;
  let isStarting = true;
  let bodyLeft = 0;
  const readHeader = () => {
    filled = 0;
    if (isStarting) {
      isStarting = ENCRYPTION_CODES.includes(header.readInt32BE(4));
      return header.readInt32BE(0) - START_BYTES;
    }
    if (REQUESTS.has(header[0]!)) onRequest();
    return header.readInt32BE(1) + 1 - HEADER_BYTES;
  };
  return (chunk) => {
    let at = 0;
    while (at < chunk.length) {
      const skipped = Math.min(bodyLeft, chunk.length - at);
      bodyLeft -= skipped;
      at += skipped;
      const needed = (isStarting ? START_BYTES : HEADER_BYTES) - filled;
      const copied = bodyLeft > 0 ? 0 : chunk.copy(header, filled, at, at + needed);
      filled += copied;
      at += copied;
      if (copied > 0 && copied === needed) bodyLeft = readHeader();
    }
  };
}
