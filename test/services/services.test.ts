import { spawn } from "node:child_process";
import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client } from "pg";
import { describe, expect, it, vi } from "vitest";
import { missingPgbouncer, startPgbouncer } from "./pgbouncer.js";
import { type PostgresServer, startPostgres } from "./postgres.js";

async function answer(connectionString: string, sql: string): Promise<unknown> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    const { rows } = await client.query<{ answer: unknown }>(`SELECT ${sql} AS answer`);
    return rows[0]?.answer;
  } finally {
    await client.end();
  }
}

async function withServer(server: PostgresServer, use: (server: PostgresServer) => Promise<void>): Promise<void> {
  try {
    await use(server);
  } finally {
    await server.remove();
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe("startPostgres()", () => {
  it("runs the Postgres of npm, stops and starts it on its data, and leaves nothing", { timeout: 60_000 }, async () => {
    let folder = "";
    await withServer(await startPostgres({ origin: "embedded" }), async (server) => {
      expect(await answer(server.connectionString, "current_setting('server_version')")).toBe(server.version);
      folder = String(await answer(server.connectionString, "current_setting('data_directory')"));
      await server.shutDown();
      await expect(answer(server.connectionString, "1")).rejects.toThrow("ECONNREFUSED");
      await server.start();
      expect(await answer(server.connectionString, "1")).toBe(1);
      expect(existsSync(folder)).toBe(true);
    });
    expect(existsSync(folder)).toBe(false);
  });
});

describe("startPgbouncer()", () => {
  const missing = missingPgbouncer();
  it.skipIf(missing)(
    `shares connections of a server${missing ? ` (${missing})` : ""}`,
    { timeout: 60_000 },
    async () => {
      await withServer(await startPostgres(), async ({ connectionString }) => {
        const bouncer = await startPgbouncer({ connectionString, poolSize: 1 });
        try {
          const pids = [1, 2].map(() => answer(bouncer.connectionString, "pg_backend_pid()"));
          expect(new Set(await Promise.all(pids)).size).toBe(1);
        } finally {
          await bouncer.remove();
        }
      });
    },
  );
});

it("the keeper stops a server and removes its folder when its owner is killed", async () => {
  const folder = mkdtempSync(join(tmpdir(), "weftline-keeper-"));
  const keeper = fileURLToPath(new URL("keeper.mjs", import.meta.url));
  const server = ["-e", "console.error(process.pid); setInterval(() => {}, 1000)"];
  const order = { command: process.execPath, args: server, stopSignal: "SIGQUIT", folder };
  const owner = `
    const { spawn } = require("node:child_process");
    const options = { detached: true, stdio: ["pipe", "ignore", "inherit"] };
    spawn(process.execPath, ${JSON.stringify([keeper, JSON.stringify(order)])}, options);
  `;
  const child = spawn(process.execPath, ["-e", owner], { stdio: ["ignore", "ignore", "pipe"] });
  const pid = await new Promise<number>((resolve) => {
    child.stderr.once("data", (text) => resolve(Number(text)));
  });
  expect(isAlive(pid)).toBe(true);
  child.kill("SIGKILL");
  await vi.waitFor(() => expect([isAlive(pid), existsSync(folder)]).toEqual([false, false]), { timeout: 5_000 });
});
