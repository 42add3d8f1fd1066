import { describe, expect, it } from "vitest";
import type { HostTransaction } from "weftline";
import { quoted } from "./migrations.js";
import { freshSchema, openClient, openStorage } from "./test-support/database.js";
import { claimRequest, newRun, register } from "./test-support/records.js";

describe("createRuns() in a transaction of the host", () => {
  it("F211 makes the runs with what else the host writes, or none of it", async () => {
    const { storage } = await openStorage();
    await register(storage);
    const shop = freshSchema();
    const client = await openClient();
    await client.query(`CREATE SCHEMA ${quoted(shop)}; CREATE TABLE ${quoted(shop)}.orders (id integer)`);
    const order = async (id: number, end: "COMMIT" | "ROLLBACK") => {
      await client.query("BEGIN");
      await client.query(`INSERT INTO ${quoted(shop)}.orders VALUES ($1)`, [id]);
      await storage.createRuns([newRun(`order-${id}`, { key: `${id}`, tags: ["order"] })], { tx: client });
      await client.query(end);
    };
    await order(1, "ROLLBACK");
    await order(2, "COMMIT");
    expect((await client.query(`SELECT id FROM ${quoted(shop)}.orders`)).rows).toEqual([{ id: 2 }]);
    expect((await storage.claimRuns(claimRequest())).map(({ id }) => id)).toEqual(["order-2"]);
    expect((await storage.list("runs", { tag: "order" }, { limit: 10 })).items).toHaveLength(1);
  });

  it("leaves the transaction fit for more after keys that were used, and sees its own runs", async () => {
    const { storage } = await openStorage();
    await storage.createRuns([newRun("known", { key: "k" })]);
    const client = await openClient();
    await client.query("BEGIN");
    const [conflict, existing, created] = await storage.createRuns(
      [newRun("a", { key: "k", fingerprint: "other" }), newRun("b", { key: "k" }), newRun("c", { key: "k3" })],
      { tx: client },
    );
    expect([conflict?.kind, existing?.kind, created?.kind]).toEqual(["conflict", "existing", "created"]);
    expect((await storage.createRuns([newRun("d", { key: "k3" })], { tx: client }))[0]).toMatchObject({
      kind: "existing",
      run: { id: "c", key: "k3", owner: undefined, tags: [] },
    });
    await client.query("COMMIT");
    expect((await storage.getRun("c"))?.status).toBe("queued");
  });

  it("is one statement, with the schema's name in it and each parameter once, that passes texts alone", async () => {
    const { storage, schema } = await openStorage();
    const client = await openClient();
    const seen: { sql: string; parameters: readonly unknown[] }[] = [];
    const tx: HostTransaction = {
      query(sql, parameters) {
        seen.push({ sql, parameters });
        return client.query(sql, [...parameters]);
      },
    };
    await storage.createRuns([newRun("run-1"), newRun("run-2")], { tx });
    expect(seen).toHaveLength(1);
    const [{ sql, parameters }] = seen as [(typeof seen)[0]];
    expect(sql).toContain(quoted(schema));
    expect(sql.match(/\$\d/g)).toEqual(["$1", "$2"]);
    for (const parameter of parameters) expect(parameter).toBeTypeOf("string");
  });

  it.each([
    ["repeatable read", "REPEATABLE READ"],
    ["serializable", "SERIALIZABLE"],
  ])("joins one that is %s", async (_, isolation) => {
    const { storage } = await openStorage();
    const client = await openClient();
    await client.query(`BEGIN ISOLATION LEVEL ${isolation}`);
    await storage.createRuns([newRun("run-1")], { tx: client });
    await client.query("COMMIT");
    expect((await storage.getRun("run-1"))?.id).toBe("run-1");
  });

  it("calls back when the host has committed, where it can", async () => {
    const { storage } = await openStorage();
    const client = await openClient();
    const callbacks: (() => void)[] = [];
    const query: HostTransaction["query"] = (sql, parameters) => client.query(sql, [...parameters]);
    await storage.createRuns([newRun("run-1")], { tx: { query, afterCommit: (callback) => callbacks.push(callback) } });
    expect(callbacks).toHaveLength(1);
    expect(() => callbacks[0]!()).not.toThrow();
  });

  it("refuses what is no transaction, and says what would be one", async () => {
    const { storage } = await openStorage();
    const wrong: unknown[] = [
      {},
      { query: "SELECT" },
      "tx",
      { query: async () => undefined },
      { query: async () => [] },
      { query: async () => ({ rows: [] }) },
    ];
    for (const tx of wrong) {
      const creating = storage.createRuns([newRun("run-1")], { tx: tx as HostTransaction });
      await expect(creating).rejects.toThrow(/^TRANSACTION_INVALID: .*client of "pg".*query\(sql, parameters\)/);
    }
    expect(await storage.getRun("run-1")).toBeUndefined();
  });
});
