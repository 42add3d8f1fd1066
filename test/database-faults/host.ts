// A process with one engine on the built packages, told by its parent what to do and gone with it.
import { appendFileSync, openSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { postgresStorage } from "@weftline/storage-postgres";
import { createEngine, type Flush, type Storage } from "weftline";
import type { FlushCounts, HostOptions, HostReply, HostRequest } from "./protocol.js";
import { type WitnessEntry, workOf } from "./work.js";

const options = JSON.parse(process.argv[2]!) as HostOptions;
const COUNT_EVERY_MS = 200;
const TRY_AGAIN_MS = 20;

const file = openSync(options.witness, "a");
// One write each, at the end of the file: what this process was killed after is there, and lines of others stay whole.
const witness = (entry: WitnessEntry) => writeSync(file, `${JSON.stringify(entry)}\n`);
const tell = (reply: HostReply) => process.send?.(reply);

const failures: Record<string, number> = {};
const counts = { confirmed: 0, sentAgain: 0, unknown: 0, failures };

function failed(error: unknown): void {
  const { code, message } = error as { code?: string; message?: string };
  const name = code ?? message ?? String(error);
  failures[name] = (failures[name] ?? 0) + 1;
}

/** The storage, with the fate of its calls counted. */
function counted(inner: Storage): Storage {
  const unknown = new Set<string>();
  const commit = async (flush: Flush, ...rest: readonly []) => {
    const outcome = await inner.commit(flush, ...rest);
    if (outcome.kind === "unknown") {
      counts.unknown++;
      unknown.add(flush.id);
      failed(outcome.cause);
    } else {
      counts.confirmed++;
      if (unknown.delete(flush.id)) counts.sentAgain++;
    }
    return outcome;
  };
  return new Proxy(inner, {
    get(target, name) {
      if (name === "commit") return commit;
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      return (...args: unknown[]): unknown => {
        const answer: unknown = member.apply(target, args);
        if (answer instanceof Promise) answer.catch(failed);
        return answer;
      };
    },
  });
}

function connectionString(): string {
  const url = new URL(options.connectionString);
  url.searchParams.set("application_name", options.name);
  if (options.serializable) url.searchParams.set("options", "-c default_transaction_isolation=serializable");
  return url.href;
}

const work = workOf(options.name, witness);
const engine = createEngine({
  name: options.name,
  pipelines: [work],
  storage: counted(postgresStorage({ connectionString: connectionString(), schema: options.schema, timeout: "2s" })),
  lease: "4s",
  poll: "250ms",
  retention: false,
  log: {
    debug() {},
    info() {},
    warn() {},
    error: (details, message) => appendFileSync(`${options.witness}.errors`, `${message} ${inspectable(details)}\n`),
  },
});
engine.on("task:finished", ({ runId, task, index, attempt, status, at }) => {
  if (status === "succeeded")
    witness({ phase: "confirmed", run: runId, task, index, attempt, engine: options.name, at });
});

function inspectable(details: object): string {
  const error: unknown = "error" in details ? details.error : undefined;
  return error instanceof Error ? (error.stack ?? error.message) : JSON.stringify(details);
}

/** As a client does that must not give up: the key keeps a second try from starting a second run. */
async function trigger(key: string): Promise<readonly [string, string]> {
  for (;;) {
    try {
      const { id } = await engine.trigger(work, {}, { key });
      return [key, id];
    } catch {
      await sleep(TRY_AGAIN_MS);
    }
  }
}

async function answer(request: HostRequest): Promise<void> {
  if (request.do === "trigger") {
    tell({ told: "triggered", runs: await Promise.all(request.keys.map(trigger)) });
    return;
  }
  await engine.stop({ grace: "2s" });
  tell({ told: "stopped" });
  process.disconnect();
}

process.on("message", (request: HostRequest) => {
  void answer(request);
});
process.once("disconnect", () => process.exit());
setInterval(() => tell({ told: "counts", counts: counts satisfies FlushCounts }), COUNT_EVERY_MS).unref();
while (options.runs) {
  try {
    await engine.start();
    break;
  } catch {
    await sleep(TRY_AGAIN_MS);
  }
}
tell({ told: "ready" });
