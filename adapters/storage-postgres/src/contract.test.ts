import { storageContract } from "@weftline/testing";
import pg from "pg";
import { afterAll, describe, it } from "vitest";
import { postgresStorage } from "./index.js";
import { quoted } from "./migrations.js";
import { connectionString, withClient } from "./test-support/database.js";

const places = new Set<string>();

describe("postgresStorage()", () => {
  afterAll(async () => {
    await withClient(async (client) => {
      for (const place of places) await client.query(`DROP SCHEMA IF EXISTS ${quoted(place)} CASCADE`);
    });
  }, 120_000);

  storageContract({
    it,
    describe,
    open(place) {
      places.add(place);
      return postgresStorage({ connectionString, schema: place });
    },
    async transaction(_storage, work) {
      const client = new pg.Client({ connectionString });
      await client.connect();
      try {
        await client.query("BEGIN");
        await work(client);
        await client.query("COMMIT");
      } finally {
        await client.end();
      }
    },
  });
});
