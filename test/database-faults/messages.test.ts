import fc from "fast-check";
import { expect, it } from "vitest";
import { MessageReader, StatementFollower } from "./messages.js";

const withLength = (body: Buffer) => {
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4);
  return Buffer.concat([length, body]);
};
const message = (type: string, body: string) => Buffer.concat([Buffer.from(type), withLength(Buffer.from(body))]);
const STARTUP = withLength(Buffer.from("\0\x03\0\0user\0me\0\0"));

it("MessageReader finds the same messages however the stream is cut", () => {
  const sent = [STARTUP, message("Q", "SELECT 1\0"), message("S", ""), message("P", "name\0SELECT 2\0\0\0")];
  const stream = Buffer.concat(sent);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: stream.length }), { maxLength: 12 }), (cuts) => {
      const places = [0, ...cuts.sort((a, b) => a - b), stream.length];
      const reader = new MessageReader("client");
      const read = places.slice(1).flatMap((end, n) => [...reader.read(stream.subarray(places[n], end))]);
      expect(read.map(({ bytes }) => bytes)).toEqual(sent);
      expect(read.map(({ type }) => type)).toEqual(["", "Q", "S", "P"]);
    }),
  );
});

it("StatementFollower knows whose answer comes, prepared or not", () => {
  const follower = new StatementFollower();
  const [prepare, bind, sync, query] = new MessageReader("server").read(
    Buffer.concat([
      message("P", "flush\0SELECT commit_v1()\0\0\0"),
      message("B", "\0flush\0\0\0\0\0\0\0"),
      message("S", ""),
      message("Q", "COMMIT\0"),
    ]),
  );
  expect([prepare, bind, sync, query].map((sent) => follower.sent(sent!))).toEqual([
    undefined,
    undefined,
    "SELECT commit_v1()",
    "COMMIT",
  ]);
  const [row, ready] = new MessageReader("server").read(Buffer.concat([message("D", "\0\0"), message("Z", "I")]));
  expect(follower.ended(row!)).toBeUndefined();
  expect(follower.answering).toBe("SELECT commit_v1()");
  expect(follower.ended(ready!)).toBe("SELECT commit_v1()");
  expect(follower.ended(ready!)).toBe("COMMIT");
});
