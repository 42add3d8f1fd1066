import { type } from "arktype";
import * as v from "valibot";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { validateParams } from "./params.js";
import { pipeline } from "./pipeline.js";

type Schema = NonNullable<Parameters<typeof validateParams>[0]["settings"]["schema"]>;

const withSchema = (schema: unknown) =>
  pipeline("nightly", { params: schema as Schema }, (p) => void p.task("a", () => 1));

const validate = (schema: unknown, params: unknown) => validateParams(withSchema(schema), params);

/** The same params in three libraries: a day, a count from 1 with a default, and a list of stores with a name each. */
const SCHEMAS: Readonly<Record<string, unknown>> = {
  zod: z.object({
    day: z.iso.date(),
    count: z.coerce.number().min(1).default(3),
    stores: z.array(z.object({ name: z.string() })).default([]),
  }),
  valibot: v.object({
    day: v.pipe(v.string(), v.isoDate()),
    count: v.optional(
      v.pipe(
        v.unknown(),
        v.transform((value) => Number(value)),
        v.number(),
        v.minValue(1),
      ),
      3,
    ),
    stores: v.optional(v.array(v.object({ name: v.string() })), []),
  }),
  arktype: type({
    day: "string.date.iso",
    count: [["number >= 1", "|", "string.integer.parse"], "=", 3],
    stores: [type({ name: "string" }).array(), "=", () => []],
  }),
};

describe.each(Object.entries(SCHEMAS))("validateParams() with %s", (_, schema) => {
  it("returns what is valid", async () => {
    const params = { day: "2026-11-22", count: 5, stores: [{ name: "Mitte" }] };
    await expect(validate(schema, params)).resolves.toEqual(params);
  });

  it("fills in defaults and converts", async () => {
    await expect(validate(schema, { day: "2026-11-22" })).resolves.toEqual({ day: "2026-11-22", count: 3, stores: [] });
    await expect(validate(schema, { day: "2026-11-22", count: "7" })).resolves.toMatchObject({ count: 7 });
  });

  it("names the pipeline, every wrong field with its path, and the way out", async () => {
    const refused = validate(schema, { day: "yesterday", stores: [{ name: "Mitte" }, { name: 7 }] });
    await expect(refused).rejects.toMatchObject({ name: "WeftlineError", code: "PARAMS_INVALID", retryable: false });
    await expect(refused).rejects.toThrow(
      /^PARAMS_INVALID: Cannot start pipeline "nightly" with these params: .*\bday: .*; stores\.1\.name: .*\. Correct these params and call again\.$/,
    );
  });

  it("takes no params for an empty object", async () => {
    await expect(validate(schema, undefined)).rejects.toThrow(/\bday: /);
    await expect(validate(schema, null)).rejects.toMatchObject({ code: "PARAMS_INVALID" });
  });

  it.each([[0], [""], [false], ["2026-11-22"], [[]]])("refuses what is no object: %j", async (params) => {
    await expect(validate(schema, params)).rejects.toMatchObject({ code: "PARAMS_INVALID" });
  });
});

describe("validateParams()", () => {
  it("waits for a schema that answers later", async () => {
    const schema = z.object({ day: z.string().refine(async (day) => day !== "never", "is never") });
    await expect(validate(schema, { day: "today" })).resolves.toEqual({ day: "today" });
    await expect(validate(schema, { day: "never" })).rejects.toThrow(/day: is never\./);
  });

  it("hands on whatever value the schema takes, null and false too", async () => {
    await expect(validate(z.null(), null)).resolves.toBeNull();
    await expect(validate(z.boolean(), false)).resolves.toBe(false);
    await expect(validate(z.string(), "")).resolves.toBe("");
  });

  const standard = (answer: () => unknown) => ({ "~standard": { version: 1, vendor: "test", validate: answer } });

  it.each([
    [
      "throws",
      () => {
        throw new Error("no database");
      },
    ],
    ["rejects", () => Promise.reject(new Error("no database"))],
  ])("refuses with the cause when the schema %s", async (_, answer) => {
    await expect(validate(standard(answer), {})).rejects.toMatchObject({
      code: "PARAMS_INVALID",
      message: expect.stringMatching(/"nightly".*the schema threw: no database\. Correct the schema\.$/),
      cause: new Error("no database"),
    });
  });

  it.each([
    ["gives no answer", undefined],
    ["answers with null", null],
    ["has issues that are no list", { issues: 1 }],
    [
      "has issues that are none",
      { issues: [null, {}, { message: 1, path: 3 }, { message: "m".repeat(1e6), path: [null] }] },
    ],
  ])("refuses, in few words, when a schema %s", async (_, answer) => {
    const refused = validate({ "~standard": { version: 1, vendor: "ours", validate: () => answer } }, {});
    const error: unknown = await refused.catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "PARAMS_INVALID" });
    expect((error as Error).message.length).toBeLessThan(5_000);
  });

  it("refuses when a schema throws what is no error", async () => {
    const answer = () => {
      throw "broken";
    };
    await expect(validate(standard(answer), {})).rejects.toThrow(/the schema threw: broken/);
  });

  it("shows the first ten of many issues", async () => {
    const params = { rows: Array.from({ length: 5_000 }, () => "x") };
    const refused = validate(z.object({ rows: z.array(z.number()) }), params);
    await expect(refused).rejects.toThrow(/rows\.9: [^;]*; and 4990 more\. Correct/);
    await expect(refused).rejects.not.toThrow(/rows\.10:/);
  });

  it("shows an issue without a path, and one whose keys are no texts", async () => {
    const issues = [{ message: "all wrong" }, { message: "odd", path: [Symbol("key"), 3, { key: "name" }] }];
    await expect(
      validate(
        standard(() => ({ issues })),
        {},
      ),
    ).rejects.toThrow(/these params: all wrong; Symbol\(key\)\.3\.name: odd\. Correct/);
  });

  describe("without a schema", () => {
    const plain = pipeline("plain", (p) => void p.task("a", () => 1));

    it.each([[undefined], [{}], [Object.create(null)]])("takes no params: %j", async (params) => {
      await expect(validateParams(plain, params)).resolves.toEqual({});
    });

    it.each([[{ day: "x" }], [null], [0], [""], [false], ["x"], [[1]], [[]], [new Map([["day", 1]])], [new Date(0)]])(
      "F209 refuses params instead of dropping them: %j",
      async (params) => {
        await expect(validateParams(plain, params)).rejects.toMatchObject({
          code: "PARAMS_INVALID",
          message: expect.stringMatching(/"plain".*it takes no params\. Give the pipeline a schema/),
        });
      },
    );
  });
});
