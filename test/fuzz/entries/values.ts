import fc from "fast-check";
import {
  decode,
  describeError,
  encode,
  isRunFinished,
  NonRetryableError,
  RetryAfter,
  RunCancelledError,
  RunFailedError,
  SkipTask,
  seededRandom,
  taskName,
  toErrorRecord,
  WeftlineError,
} from "weftline";
import { mostly, objectOf, values } from "../cases.js";
import { type Entry, entry, Told } from "../entry.js";
import { hostile, hostileError, hostileNumber, hostileText } from "../hostile.js";
import { anyDuration, anyNumber, anyText } from "./options.js";

// biome-ignore lint/suspicious/noExplicitAny: a caller without types is what this is about
type Any = any;

const KINDS = ["output", "params", "item"];
/** A stored text that somebody damaged. */
const damaged = fc.oneof(
  fc
    .tuple(
      values('j1:{"a":[1,2,{"b":"c"}]}', 'd1:[{"a":1},["Date","2026-01-01"]]', "u1:", 'd1:[["Map",1,2],1,2]'),
      fc.nat(40),
      fc.constantFrom("", "{", "9", "\0", "__proto__", "-1", "[", '"'),
    )
    .map(([text, place, piece]) => {
      const whole = text.make() as string;
      const broken = whole.slice(0, place) + piece + whole.slice(place + 1);
      return { name: JSON.stringify(broken), make: () => broken };
    }),
  values(
    "",
    "j1:",
    "j2:1",
    "d1:",
    "d1:[]",
    "d1:-1",
    "d1:[[]]",
    "d1:[1e9]",
    "z9:1",
    'd1:[["Nobody",0]]',
    'd1:[["RegExp","("]]',
    'd1:[["URL","x"]]',
    'd1:[["Date","x"]]',
    'd1:[["BigInt","x"]]',
    'd1:[["__proto__",0]]',
    'd1:[{"__proto__":1},2]',
    `j1:${"[".repeat(100_000)}`,
    `d1:[["Set"${",0".repeat(10)}]]`,
    'd1:[["ArrayBuffer","!"]]',
    'd1:[["Float64Array",1],["ArrayBuffer","AA=="]]',
  ),
  hostileText,
  hostile,
);

const recordCase = mostly(
  objectOf({ cause: hostile, code: hostileText, stack: hostileText }, { name: anyText, message: anyText }),
  hostile,
);
/** What an `Error` of any kind is made of is a text; what becomes of anything else is the runtime's affair. */
const someText = mostly(values("a text"), hostileText);
const runCase = objectOf(
  { error: objectOf({ code: hostileText }, { name: someText, message: someText }) },
  { id: someText, pipeline: someText },
);

export const VALUE_ENTRIES: readonly Entry[] = [
  entry(
    "weftline.encode",
    {
      value: hostile,
      kind: values(...KINDS),
      limits: fc.oneof(
        objectOf({}, { maxBytes: values(10, 1_000, 2 ** 24), maxDepth: values(1, 10, 500) }),
        values(undefined),
      ),
    },
    (_world, value: Any, kind: Any, limits: Any) => void decode(encode(value, kind, limits)),
  ),
  entry("weftline.decode", { encoded: damaged }, (_world, encoded: Any) => void decode(encoded)),
  entry("weftline.toErrorRecord", { thrown: hostileError }, (_world, thrown: Any) => {
    const record = toErrorRecord(thrown);
    if (JSON.stringify(record).length > 1_500_000) throw new Error("an error's record is larger than promised");
    return new Told(describeError(record).slice(0, 15_000));
  }),
  entry("weftline.describeError", { record: recordCase }, (_world, record: Any) => void describeError(record)),
  entry(
    "weftline.taskName",
    { task: anyText, index: fc.oneof(values([], [3], [1, 2]), hostile) },
    (_world, task: Any, index: Any) => void taskName(task, index),
  ),
  entry("weftline.isRunFinished", { status: anyText }, (_world, status: Any) => void isRunFinished(status)),
  entry("weftline.seededRandom", { seed: fc.oneof(hostileNumber, hostile) }, (_world, seed: Any) => {
    const drawn = seededRandom(seed)();
    if (!(drawn >= 0 && drawn < 1)) throw new Error(`a random number is ${drawn}`);
  }),
  entry(
    "weftline.WeftlineError",
    {
      code: values("RUN_FAILED"),
      message: someText,
      options: fc.oneof(objectOf({ cause: hostile, retryable: hostile }), values(undefined)),
    },
    (_world, code: Any, message: Any, options: Any) => void new WeftlineError(code, message, options),
  ),
  entry(
    "weftline.NonRetryableError",
    { message: someText },
    (_world, message: Any) => void new NonRetryableError(message),
  ),
  entry("weftline.SkipTask", { reason: someText }, (_world, reason: Any) => void new SkipTask(reason)),
  entry(
    "weftline.RetryAfter",
    { delay: anyDuration, message: someText },
    (_world, delay: Any, message: Any) => void new RetryAfter(delay, message),
  ),
  entry(
    "weftline.RunFailedError",
    {
      run: runCase,
      failures: fc.oneof(
        values([]),
        objectOf({}).map(() => ({
          name: "one failure",
          make: () => [{ task: "a", index: [], attempts: 1, error: { name: "E", message: "m" } }],
        })),
      ),
    },
    (_world, run: Any, failures: Any) => void new RunFailedError(run, failures),
  ),
  entry("weftline.RunCancelledError", { run: runCase }, (_world, run: Any) => void new RunCancelledError(run)),
  entry(
    "weftline.encode",
    { value: anyNumber, kind: values(...KINDS) },
    (_world, value: Any, kind: Any) => void encode(value, kind),
  ),
];
