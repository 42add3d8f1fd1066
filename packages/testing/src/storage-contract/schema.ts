import assert from "node:assert/strict";
import type { StorageSchema } from "weftline";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { idsOf, type StorageFixture } from "./fixture.js";
import { newRun } from "./records.js";

/** The schemas of stores at a new place that nobody has opened; does nothing where a store keeps none. */
async function withSchemas(
  fixture: StorageFixture,
  count: number,
  check: (schemas: readonly StorageSchema[], place: string) => Promise<void>,
): Promise<void> {
  if (fixture.storage.schema === undefined) return;
  const place = `${fixture.place}-new`;
  const schemas: StorageSchema[] = [];
  for (let n = 0; n < count; n++) schemas.push((await fixture.source.open(place)).schema!);
  try {
    await check(schemas, place);
  } finally {
    for (const schema of schemas) await schema.close();
  }
}

export const schemas: ContractTopic<StorageFixture> = {
  name: "schema",
  cases: [
    {
      name: "schema: a store that was opened is at the version of its adapter",
      async check({ storage: { schema } }) {
        if (schema === undefined) return;
        assert.ok(Number.isInteger(schema.version) && schema.version >= 1, `the version is ${schema.version}`);
        assert.equal(await schema.current(), schema.version);
        assertEqual(await schema.migrate(), [], "there is nothing left to do");
        assert.equal(await schema.current(), schema.version);
      },
    },
    {
      name: "schema: statements() gives the steps from any version to the newest, one after the other, as text",
      async check({ storage: { schema } }) {
        if (schema === undefined) return;
        const all = schema.statements(0);
        assertEqual(
          all.map(({ version }) => version),
          Array.from({ length: schema.version }, (_, n) => n + 1),
        );
        for (const { version, name, sql } of all) {
          assert.ok(name.trim() !== "" && sql.trim() !== "", `step ${version} is "${name}": ${sql}`);
          assertEqual(schema.statements(version), all.slice(version));
        }
      },
    },
    {
      name: "schema: migrate() makes a schema where there is none, before anybody has opened the store",
      check: (fixture) =>
        withSchemas(fixture, 1, async ([schema], place) => {
          assert.equal(await schema!.current(), 0);
          assert.equal(await schema!.current(), 0, "looking has made something");
          assertEqual(await schema!.migrate(), schema!.statements(0));
          assert.equal(await schema!.current(), schema!.version);
          assertEqual(await schema!.migrate(), []);
          await schema!.close();
          const storage = await fixture.openAt(place);
          await storage.createRuns([newRun("run-1")]);
          assertEqual(idsOf(await fixture.all("runs", {}, 10, storage)), ["run-1"]);
        }),
    },
    {
      name: "schema: migrate() makes each step once, however many ask for it at once",
      check: (fixture) =>
        withSchemas(fixture, fixture.storage.supports.manyProcesses ? 3 : 1, async (several) => {
          const made = await Promise.all([...several, ...several].map((schema) => schema.migrate()));
          const versions = made.flat().map(({ version }) => version);
          assertEqual(
            versions.sort((a, b) => a - b),
            several[0]!.statements(0).map(({ version }) => version),
          );
          for (const schema of several) assert.equal(await schema.current(), schema.version);
        }),
    },
    {
      name: "schema: close() may be called twice, and the schema used again after it",
      check: (fixture) =>
        withSchemas(fixture, 1, async ([schema]) => {
          await schema!.close();
          assert.equal(await schema!.current(), 0);
          await schema!.close();
          await schema!.close();
        }),
    },
    {
      name: "schema: opening a store keeps what is there",
      async check(fixture) {
        const { storage } = fixture;
        if (storage.schema === undefined || !storage.supports.durable) return;
        await fixture.create("run-1");
        await storage.close();
        await storage.schema.migrate();
        await storage.schema.close();
        await fixture.reopen(storage);
        assertEqual(idsOf(await fixture.all("runs", {})), ["run-1"]);
      },
    },
  ],
};
