import { describe, expect, it } from "vitest";
import { LentResources } from "./resources.js";

describe("LentResources", () => {
  it("hands out an object as it is, and leaves its end to whoever made it", async () => {
    let ends = 0;
    const given = { db: 1, [Symbol.asyncDispose]: async () => void ends++ };
    const lent = new LentResources(given);
    expect(await lent.open()).toBe(given);
    await lent.close();
    expect([lent.value, ends]).toEqual([given, 0]);
  });

  it.each([
    ["Symbol.asyncDispose", Symbol.asyncDispose],
    ["Symbol.dispose", Symbol.dispose],
  ])("calls a function once, however often it is opened, and ends what it made by %s", async (_, dispose) => {
    const said: string[] = [];
    const lent = new LentResources(async () => {
      said.push("made");
      return { [dispose]: () => said.push("ended") };
    });
    const made = await lent.open();
    expect(await lent.open()).toBe(made);
    expect(lent.value).toBe(made);
    await lent.close();
    await lent.close();
    expect(said).toEqual(["made", "ended"]);
  });

  it.each([
    ["throws", () => Promise.reject(new Error("no database")), /RESOURCES_FAILED: .*no database/],
    ["returns null", () => null as never, /RESOURCES_FAILED: .*null/],
    ["returns a text", () => "db" as never, /RESOURCES_FAILED: .*string/],
  ])("fails when the function %s", async (_, option, message) => {
    await expect(new LentResources(option).open()).rejects.toThrow(message);
  });
});
