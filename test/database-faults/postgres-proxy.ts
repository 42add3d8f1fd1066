import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { isCancelRequest, type Message, MessageReader, StatementFollower } from "./messages.js";

/** What was done to the connections, each counted when it really happened. */
export interface ProxyCounts {
  readonly connections: number;
  /** Statements that wrote a flush, asked and answered. */
  readonly flushes: number;
  /** Answers to a COMMIT that came through or were lost. */
  readonly commits: number;
  readonly lostReplies: number;
  readonly cutRequests: number;
  readonly resets: number;
  readonly silenced: number;
  readonly delayed: number;
  readonly cancels: number;
}

export type Matches = (statement: string) => boolean;

export const isFlush: Matches = (statement) => statement.includes("commit_v1(");
export const isCommit: Matches = (statement) => statement === "COMMIT";
const isListen: Matches = (statement) => statement.startsWith("LISTEN ");

/**
 * A fault for the next statement that matches. `lose-reply`: the server does it, and the connection is reset in place of
 * the answer. `cut-request`: the server gets the first half of the request, and the connection is reset.
 */
export interface ArmedFault {
  readonly kind: "lose-reply" | "cut-request";
  readonly matches: Matches;
}

/** A way to a Postgres server that can fail as networks and poolers do, and knows where a message begins. */
export class PostgresProxy {
  readonly #target: URL;
  readonly #links = new Set<Link>();
  readonly #armed: ArmedFault[] = [];
  #server: Server | undefined;
  #port = 0;
  /** Added to each piece in each direction, in milliseconds. */
  latencyMs = 0;
  readonly counts = {
    connections: 0,
    flushes: 0,
    commits: 0,
    lostReplies: 0,
    cutRequests: 0,
    resets: 0,
    silenced: 0,
    delayed: 0,
    cancels: 0,
  } satisfies ProxyCounts;

  private constructor(connectionString: string) {
    this.#target = new URL(connectionString);
  }

  static async start(connectionString: string): Promise<PostgresProxy> {
    const proxy = new PostgresProxy(connectionString);
    await proxy.accept();
    return proxy;
  }

  get connectionString(): string {
    const url = new URL(this.#target);
    url.hostname = "127.0.0.1";
    url.port = String(this.#port);
    return url.href;
  }

  /** The next statement that matches meets the fault. */
  arm(fault: ArmedFault): void {
    this.#armed.push(fault);
  }

  /** Whether every armed fault has met its statement. */
  get isDisarmed(): boolean {
    return this.#armed.length === 0;
  }

  disarm(): void {
    this.#armed.length = 0;
  }

  /** From now on nothing comes through on connections that listen, and nobody is told. @returns How many there are. */
  halfOpenListeners(): number {
    const listening = [...this.#links].filter(({ isListening, isSilent }) => isListening && !isSilent);
    for (const link of listening) link.isSilent = true;
    this.counts.silenced += listening.length;
    return listening.length;
  }

  /** Whether a connection that listens is there, and hears. */
  get isHeard(): boolean {
    return [...this.#links].some(({ isListening, isSilent }) => isListening && !isSilent);
  }

  /** Resets every connection. */
  reset(): void {
    this.counts.resets += this.#links.size;
    for (const link of this.#links) link.reset();
  }

  /** New connections are refused, and those there are reset. */
  async refuse(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    const closed = server && once(server, "close");
    server?.close();
    this.reset();
    await closed;
  }

  /** New connections come through (again), on the same port. */
  async accept(): Promise<void> {
    if (this.#server !== undefined) return;
    const server = createServer((client) => this.#connected(client));
    this.#server = server;
    server.listen(this.#port, "127.0.0.1");
    await once(server, "listening");
    this.#port = (server.address() as { readonly port: number }).port;
  }

  async stop(): Promise<void> {
    await this.refuse();
  }

  #connected(client: Socket): void {
    this.counts.connections++;
    const server = connect(Number(this.#target.port || 5432), this.#target.hostname);
    const link = new Link(client, server, this);
    this.#links.add(link);
    client.once("close", () => this.#links.delete(link));
  }

  /** @internal The fault for a statement, which is taken off the list. */
  faultFor(statement: string): ArmedFault["kind"] | undefined {
    const place = this.#armed.findIndex(({ matches }) => matches(statement));
    return place < 0 ? undefined : this.#armed.splice(place, 1)[0]!.kind;
  }
}

/** One connection of a client, with that to the server which stands for it. */
class Link {
  isSilent = false;
  isListening = false;
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #proxy: PostgresProxy;
  readonly #fromClient = new MessageReader("client");
  readonly #fromServer = new MessageReader("server");
  readonly #statements = new StatementFollower();
  /** Messages of a statement that is not complete: whether it is to be cut is not known before. */
  #held: Message[] = [];
  /** The statement whose answer is to be lost. */
  #losing = false;
  readonly #toServer: DelayedWriter;
  readonly #toClient: DelayedWriter;

  constructor(client: Socket, server: Socket, proxy: PostgresProxy) {
    this.#client = client;
    this.#server = server;
    this.#proxy = proxy;
    this.#toServer = new DelayedWriter(server, proxy);
    this.#toClient = new DelayedWriter(client, proxy);
    for (const socket of [client, server]) socket.setNoDelay(true).on("error", () => {});
    client.on("data", (piece) => this.#isOpen && this.#asked(piece));
    server.on("data", (piece) => this.#isOpen && this.#answered(piece));
    client.on("close", () => server.destroy());
    // The other side learns of an end in the way this one ended, but after what was sent before.
    server.on("end", () => this.#toClient.end());
    server.on("close", () => this.#toClient.end());
  }

  get #isOpen(): boolean {
    return !this.isSilent && !this.#client.destroyed && !this.#server.destroyed;
  }

  reset(): void {
    this.#client.resetAndDestroy();
    this.#server.resetAndDestroy();
  }

  #asked(piece: Buffer): void {
    for (const message of this.#fromClient.read(piece)) {
      if (isCancelRequest(message)) this.#proxy.counts.cancels++;
      this.#held.push(message);
      const statement = this.#statements.sent(message);
      if (statement === undefined && "PBDEC".includes(message.type) && message.type !== "") continue;
      const bytes = Buffer.concat(this.#held.map(({ bytes }) => bytes));
      this.#held = [];
      if (statement !== undefined && this.#meets(statement, bytes)) return;
      this.#toServer.write(bytes);
    }
  }

  /** @returns Whether the connection is gone. */
  #meets(statement: string, request: Buffer): boolean {
    const { counts } = this.#proxy;
    if (isListen(statement)) this.isListening = true;
    const fault = this.#proxy.faultFor(statement);
    if (fault === "lose-reply") this.#losing = true;
    if (fault !== "cut-request") return false;
    counts.cutRequests++;
    this.#server.write(request.subarray(0, request.length >> 1), () => this.reset());
    return true;
  }

  #answered(piece: Buffer): void {
    if (this.#statements.answering === undefined) {
      this.#fromServer.read(piece);
      this.#toClient.write(piece);
      return;
    }
    const isLost = this.#losing;
    for (const message of this.#fromServer.read(piece)) {
      const statement = this.#statements.ended(message);
      if (statement === undefined) continue;
      if (isFlush(statement)) this.#proxy.counts.flushes++;
      if (isCommit(statement)) this.#proxy.counts.commits++;
      // Only now is it done, and durable: what came before is sent while the transaction can still fail.
      if (this.#losing) {
        this.#proxy.counts.lostReplies++;
        this.reset();
        return;
      }
    }
    if (!isLost) this.#toClient.write(piece);
  }
}

/** Writes in order, each piece as late as the proxy says at the moment. */
class DelayedWriter {
  readonly #socket: Socket;
  readonly #proxy: PostgresProxy;
  #last: Promise<void> | undefined;

  constructor(socket: Socket, proxy: PostgresProxy) {
    this.#socket = socket;
    this.#proxy = proxy;
  }

  write(bytes: Buffer): void {
    this.#then(() => this.#socket.write(bytes));
  }

  end(): void {
    this.#then(() => this.#socket.destroy());
  }

  #then(act: () => unknown): void {
    const { latencyMs, counts } = this.#proxy;
    if (latencyMs === 0 && this.#last === undefined) {
      if (!this.#socket.destroyed) act();
      return;
    }
    if (latencyMs > 0) counts.delayed++;
    const waited = new Promise<void>((resolve) => setTimeout(resolve, latencyMs));
    const turn: Promise<void> = Promise.all([this.#last, waited]).then(() => {
      if (!this.#socket.destroyed) act();
      if (this.#last === turn) this.#last = undefined;
    });
    this.#last = turn;
  }
}
