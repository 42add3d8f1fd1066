import type { Storage, StorageSchema } from "weftline";
import { ON_DISK } from "../sound-storages.js";
import { type Fault, type Overrides, pause } from "./fault.js";

/** Keeps its schema otherwise. */
function keepsSchema(change: (schema: StorageSchema, inner: Storage) => Partial<StorageSchema>): Overrides {
  return (inner) => ({ schema: { ...inner.schema!, ...change(inner.schema!, inner) } });
}

/** Stores that go wrong about the schema of their data. */
export const SCHEMA_FAULTS: readonly Fault[] = [
  [
    "finds no schema where there is one",
    keepsSchema(() => ({ current: async () => 0 })),
    "schema: a store that was opened is at the version of its adapter",
    ON_DISK,
  ],
  [
    "makes all steps again",
    keepsSchema((schema) => ({ migrate: async () => schema.statements(0) })),
    "schema: a store that was opened is at the version of its adapter",
    ON_DISK,
  ],
  [
    "gives all steps from any version",
    keepsSchema((schema) => ({ statements: () => schema.statements(0) })),
    "schema: statements() gives the steps from any version to the newest, one after the other, as text",
    ON_DISK,
  ],
  [
    "gives a step without its text",
    keepsSchema((schema) => ({ statements: (from) => schema.statements(from).map((step) => ({ ...step, sql: "" })) })),
    "schema: statements() gives the steps from any version to the newest, one after the other, as text",
    ON_DISK,
  ],
  [
    "makes a schema as soon as it is asked for one",
    keepsSchema((schema) => ({
      async current() {
        const version = await schema.current();
        await schema.migrate();
        return version;
      },
    })),
    "schema: migrate() makes a schema where there is none, before anybody has opened the store",
    ON_DISK,
  ],
  [
    "looks which version there is, and makes the steps later",
    keepsSchema((schema) => ({
      async migrate() {
        const version = await schema.current();
        await pause();
        await schema.migrate();
        return schema.statements(version);
      },
    })),
    "schema: migrate() makes each step once, however many ask for it at once",
    ON_DISK,
  ],
  [
    "cannot look at its schema twice",
    keepsSchema((schema) => {
      let isClosed = false;
      return {
        async close() {
          if (isClosed) throw new Error("closed already");
          isClosed = true;
          await schema.close();
        },
      };
    }),
    "schema: close() may be called twice, and the schema used again after it",
    ON_DISK,
  ],
  [
    "starts with an empty schema whenever it is opened",
    (inner) => {
      let opened = 0;
      return {
        async open(context) {
          await inner.open(context);
          opened++;
        },
        list: (async (kind, query, page) =>
          opened > 1 ? { items: [], next: undefined } : inner.list(kind, query, page)) as Storage["list"],
      };
    },
    "schema: opening a store keeps what is there",
    ON_DISK,
  ],
];
