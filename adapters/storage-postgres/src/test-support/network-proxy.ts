import { connect, createServer, type Server, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import { connectionString, connectionStringWith } from "./database.js";

/** A way to the tests' server that can be cut off, or go silent as a broken network does. Gone when the test is done. */
export class NetworkProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isSilent = false;

  private constructor() {
    const { hostname, port } = new URL(connectionString);
    this.#server = createServer((client) => {
      const server = connect(Number(port || 5432), hostname);
      for (const socket of [client, server]) this.#keep(socket);
      client.on("data", (data) => this.#isSilent || server.write(data));
      server.on("data", (data) => this.#isSilent || client.write(data));
      client.on("close", () => server.destroy());
      server.on("close", () => client.destroy());
    });
  }

  static async start(): Promise<NetworkProxy> {
    const proxy = new NetworkProxy();
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => proxy.stop());
    return proxy;
  }

  get connectionString(): string {
    const { port } = this.#server.address() as { readonly port: number };
    return connectionStringWith((url) => {
      url.hostname = "127.0.0.1";
      url.port = String(port);
    });
  }

  /** From now on nothing comes through, and nobody is told. */
  silence(): void {
    this.#isSilent = true;
  }

  /** Ends every connection; new ones come through again. */
  reset(): void {
    this.#isSilent = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  get connections(): number {
    return this.#sockets.size / 2;
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
  }

  async stop(): Promise<void> {
    this.reset();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
