import fc, { type Arbitrary } from "fast-check";
import type {
  CheckOptions,
  EngineOptions,
  GroupOptions,
  MapOptions,
  NodeOptions,
  PipelineOptions,
  PollOptions,
  RetryOptions,
  RunTaskOptions,
  SignalOptions,
  SleepOptions,
  SleepUntilOptions,
  TaskOptions,
  TriggerOptions,
} from "weftline";
import { cron, every, inProcess, memoryStorage, TRIGGER_RULES, timerScheduler } from "weftline";
import { type Case, listOf, mostly, objectOf, sure, throwOwn, values } from "../cases.js";
import { hostile, hostileNumber, hostileText } from "../hostile.js";

/** One for each option there is: a new one does not compile without. */
type Every<Options> = Readonly<Record<keyof Required<Options>, Arbitrary<Case>>>;
// biome-ignore lint/suspicious/noExplicitAny: only the names of options count here
type Any = any;

export const anyText = mostly(values("a", "b-2", "first", "second"), fc.oneof(hostileText, hostile));
export const anyNumber = mostly(values(1, 2, 10), fc.oneof(hostileNumber, hostile));
const anyBoolean = mostly(values(true, false), hostile);
export const anyDuration = mostly(
  values("250ms", "30s", "10m", "6h", "7d", 0, 1, 1_500),
  fc.oneof(hostileNumber, hostileText, values("1", "ms", "-1s", "1e3s", "999999999d", " 1s", "1S"), hostile),
);
export const anyFunction = mostly(
  fc.oneof(
    sure("() => 1", () => () => 1),
    sure("() => undefined", () => () => undefined),
    sure("a function that throws", () => () => {
      throwOwn(new Error("own function"));
    }),
  ),
  hostile,
);
/** A function that answers with anything. */
export const answering: Arbitrary<Case> = hostile.map(({ name, make }) => ({
  name: `() => ${name}`,
  make: () => make,
}));
const anyDate = mostly(
  sure("a date", () => new Date(Date.UTC(2030, 0, 1))),
  fc.oneof(
    sure("an invalid date", () => new Date(Number.NaN)),
    hostileNumber,
    hostile,
  ),
);

/** A Standard Schema, some of which break what schemas promise. */
export const anySchema: Arbitrary<Case> = fc.oneof(
  schema("one that takes everything", (value) => ({ value })),
  schema("one that refuses", () => ({ issues: [{ message: "no", path: ["a", { key: "b" }, Symbol("own")] }] })),
  schema("one that throws", () => {
    throwOwn(new Error("own schema"));
  }),
  schema("one without an answer", () => undefined),
  schema("one with odd issues", () => ({ issues: [null, {}, { message: 1, path: 3 }] })),
  schema("one that never says", async () => ({ issues: [] })),
  hostile,
);

function schema(name: string, validate: (value: unknown) => unknown): Arbitrary<Case> {
  return sure(name, () => ({ "~standard": { version: 1, vendor: "own", validate } }));
}

const retryProperties = {
  attempts: anyNumber,
  delay: anyDuration,
  backoff: mostly(values("fixed", "linear", "exponential"), hostile),
  maxDelay: anyDuration,
  jitter: mostly(values("full", "none"), hostile),
  when: anyFunction,
  whileAbandoned: anyBoolean,
} satisfies Every<RetryOptions>;
const anyRetry = mostly(objectOf(retryProperties, { attempts: anyNumber }), hostile, 4);
const anyTimeout = mostly(fc.oneof(anyDuration, objectOf({ attempt: anyDuration, total: anyDuration })), hostile, 4);
const anyKeyed = objectOf({ key: anyFunction, limit: anyNumber }, { key: anyFunction });

const nodeProperties = {
  needs: fc.oneof(objectOf({ a: hostile, __proto__x: hostile }), hostile),
  after: fc.oneof(listOf(hostile), hostile),
  triggerRule: mostly(values(...TRIGGER_RULES), fc.oneof(hostileText, hostile)),
  allowFailure: anyBoolean,
  title: anyText,
  description: anyText,
  tags: fc.oneof(listOf(anyText), hostile),
} satisfies Every<NodeOptions<Any, Any>>;
const taskProperties = {
  ...nodeProperties,
  when: anyFunction,
  retry: anyRetry,
  timeout: anyTimeout,
  executor: anyText,
  pool: anyText,
  slots: anyNumber,
  priority: anyNumber,
  concurrency: fc.oneof(anyNumber, anyKeyed),
  rateLimit: fc.oneof(
    objectOf({ limit: anyNumber, per: anyDuration, key: anyFunction }, { limit: anyNumber }),
    hostile,
  ),
  cache: fc.oneof(objectOf({ key: anyFunction, ttl: anyDuration }, { key: anyFunction }), hostile),
  expect: fc.oneof(
    objectOf({ a: fc.oneof(objectOf({ min: anyNumber, max: anyNumber, severity: anyText }), hostile) }),
    hostile,
  ),
  produces: fc.oneof(anyText, listOf(anyText)),
  teardown: fc.oneof(anyBoolean, objectOf({ failRun: anyBoolean })),
} satisfies Every<TaskOptions<Any, Any, Any>>;
const anyOver = fc.oneof(listOf(hostile), hostile, values([1, 2, 3]));

/** The options of each method of a builder. */
export const BUILDER_OPTIONS = {
  task: taskProperties,
  map: { ...taskProperties, over: anyOver, maxItems: anyNumber } satisfies Every<MapOptions<Any, Any, Any, Any>>,
  branch: taskProperties,
  group: {
    after: nodeProperties.after,
    allowFailure: anyBoolean,
    title: anyText,
    description: anyText,
    tags: nodeProperties.tags,
    retry: anyRetry,
    timeout: anyTimeout,
    concurrency: anyNumber,
    over: anyOver,
    maxItems: anyNumber,
  } satisfies Every<GroupOptions & { over: unknown; maxItems: unknown }>,
  run: { ...without(taskProperties, ["cache", "expect"]), params: anyFunction } satisfies Every<
    RunTaskOptions<Any, Any, Any, Any>
  >,
  sleep: { ...nodeProperties, for: fc.oneof(anyDuration, anyFunction) } satisfies Every<SleepOptions<Any, Any, Any>>,
  sleepUntil: { ...nodeProperties, at: fc.oneof(anyDate, anyFunction) } satisfies Every<
    SleepUntilOptions<Any, Any, Any>
  >,
  poll: { ...taskProperties, every: anyDuration } satisfies Every<PollOptions<Any, Any, Any>>,
  signal: { ...nodeProperties, schema: anySchema, timeout: anyDuration, key: anyFunction } satisfies Every<
    SignalOptions<Any, Any, Any, Any>
  >,
  check: { ...taskProperties, severity: mostly(values("error", "warning"), hostile) } satisfies Every<
    CheckOptions<Any, Any, Any>
  >,
};

function without<Options extends object, Name extends keyof Options>(options: Options, names: readonly Name[]) {
  return Object.fromEntries(Object.entries(options).filter(([name]) => !names.includes(name as Name))) as Omit<
    Options,
    Name
  >;
}

export const anyPipelineOptions = mostly(
  objectOf({
    params: anySchema,
    schedule: fc.oneof(
      sure("every 1h", () => every("1h")),
      sure("cron", () => cron("0 2 * * *")),
      hostile,
    ),
    defaults: fc.oneof(objectOf({ retry: anyRetry, timeout: anyTimeout, executor: anyText }), hostile),
    timeout: anyDuration,
    concurrency: fc.oneof(anyNumber, anyKeyed),
    maxActiveRuns: anyNumber,
    failWhen: mostly(values("any", "leaves"), hostile),
    failFast: anyBoolean,
    title: anyText,
    description: anyText,
  } satisfies Every<PipelineOptions<Any, Any>>),
  hostile,
  4,
);

export const engineProperties = {
  pipelines: fc.oneof(listOf(hostile), hostile),
  storage: fc.oneof(
    sure("memoryStorage()", () => memoryStorage()),
    hostile,
  ),
  executors: fc.oneof(
    sure("inProcess()", () => ({ default: inProcess() })),
    objectOf({ default: hostile, cpu: hostile }),
    hostile,
  ),
  scheduler: fc.oneof(
    sure("timerScheduler()", () => timerScheduler()),
    hostile,
  ),
  resources: hostile,
  pools: fc.oneof(objectOf({ gpu: anyNumber, __proto__x: hostile }), hostile),
  concurrency: anyNumber,
  abortGrace: anyDuration,
  lease: anyDuration,
  poll: anyDuration,
  maxBlocked: anyDuration,
  quarantineAfter: anyNumber,
  retention: fc.oneof(anyDuration, values(false)),
  limits: fc.oneof(objectOf({ maxValueBytes: anyNumber, maxValueDepth: anyNumber }), hostile),
  log: hostile,
  name: anyText,
  clock: hostile,
  random: anyFunction,
  newId: anyFunction,
} satisfies Every<EngineOptions>;

export const anyTriggerOptions = mostly(
  objectOf({
    key: anyText,
    at: fc.oneof(anyDate, anyNumber),
    priority: anyNumber,
    tags: fc.oneof(listOf(anyText), hostile),
    tx: hostile,
  } satisfies Every<TriggerOptions>),
  hostile,
  4,
);
