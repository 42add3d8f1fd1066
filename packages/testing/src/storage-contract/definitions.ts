import assert from "node:assert/strict";
import type { DefinitionRecord } from "weftline";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import type { StorageFixture } from "./fixture.js";
import { DEFINITION, definitionRecord, ended, ODD_TEXTS } from "./records.js";

/** A definition of which nobody may read the graph. */
function sealed(hash: string): DefinitionRecord {
  return {
    ...definitionRecord(hash),
    get graph(): string {
      return assert.fail(`the graph of "${hash}" was read, although the store knows it`);
    },
  };
}

export const definitions: ContractTopic<StorageFixture> = {
  name: "definitions",
  cases: [
    {
      name: "getDefinition() gives a definition as it was put, and nothing for an unknown hash",
      async check({ storage }) {
        const put = [
          definitionRecord("a"),
          definitionRecord("A", { pipeline: "other", graph: "j1: { }" }),
          ...ODD_TEXTS.map((text, place) => definitionRecord(`hash-${place}`, { graph: `d1:${text}` })),
          definitionRecord("large", { graph: `j1:"${"weft🪡".repeat(100_000)}"` }),
        ];
        await storage.putDefinitions(put.slice(0, 1));
        await storage.putDefinitions(put.slice(1));
        for (const definition of put) assertEqual(await storage.getDefinition(definition.hash), definition);
        assert.equal(await storage.getDefinition("unknown"), undefined);
      },
    },
    {
      name: "putDefinitions() keeps a definition that is known, and adds the others",
      async check({ storage }) {
        const first = definitionRecord("known");
        await storage.putDefinitions([first]);
        const added = [definitionRecord("new"), definitionRecord("newer")];
        const changed = definitionRecord("known", { graph: "j1:2", pipeline: "other" });
        await storage.putDefinitions([added[0]!, changed, added[1]!]);
        for (const definition of [first, ...added]) {
          assertEqual(await storage.getDefinition(definition.hash), definition);
        }
      },
    },
    {
      name: "putDefinitions() does not read the graph of a definition that is known",
      async check({ storage }) {
        const known = definitionRecord("known");
        const added = definitionRecord("new");
        await storage.putDefinitions([known]);
        await storage.putDefinitions([sealed("known")]);
        await storage.putDefinitions([sealed("known"), added]);
        assertEqual(await storage.getDefinition("known"), known);
        assertEqual(await storage.getDefinition("new"), added);
      },
    },
    {
      name: "putDefinitions() of the same hash by many at once keeps one of them",
      async check({ storage }) {
        const put = Array.from({ length: 8 }, (_, n) => definitionRecord("same", { graph: `j1:${n}` }));
        await Promise.all(put.map((definition) => storage.putDefinitions([definition])));
        const kept = await storage.getDefinition("same");
        assert.ok(
          put.some(({ graph }) => graph === kept?.graph),
          JSON.stringify(kept),
        );
        await storage.putDefinitions(put);
        assertEqual(await storage.getDefinition("same"), kept);
      },
    },
    {
      name: "definitions outlive the runs that were made with them",
      async check(fixture) {
        const definition = definitionRecord(DEFINITION);
        await fixture.storage.putDefinitions([definition]);
        await fixture.owned("run-1");
        await fixture.write("run-1", { run: ended("succeeded") });
        await fixture.storage.deleteRun("run-1");
        assertEqual(await fixture.storage.getDefinition(DEFINITION), definition);
      },
    },
  ],
};
