import { createHash } from "node:crypto";
import type { StorageHint } from "weftline";
import type { Connections } from "./connections.js";

const { setTimeout: startTimeout, clearTimeout: stopTimeout } = globalThis;

/** Names of channels are cut off by Postgres at 63 bytes. */
const MAX_CHANNEL_BYTES = 63;
const DEBOUNCE_MS = 10;
/** A notification holds less than 8,000 bytes. With more ids than fit, it concerns any. */
const MAX_PAYLOAD_BYTES = 4_000;

type Topic = StorageHint["topic"];

/** Two schemas never share a channel. */
export function channelOf(schema: string): string {
  const name = `weftline:${schema}`;
  if (Buffer.byteLength(name) <= MAX_CHANNEL_BYTES) return name;
  return `weftline:${createHash("sha256").update(schema).digest("hex").slice(0, 40)}`;
}

/**
 * Tells other processes that something may have changed, soon after it was done and never as a part of it: a NOTIFY in a
 * transaction would hold a lock of the whole database while it commits. What is not told is found by polling.
 */
export class Notifier {
  readonly #connections: Connections;
  readonly #channel: string;
  readonly #waiting = new Map<Topic, Set<string> | "any">();
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<unknown> = Promise.resolve();

  constructor(connections: Connections, schema: string) {
    this.#connections = connections;
    this.#channel = channelOf(schema);
  }

  /** @param ids - Empty: any. */
  hint(topic: Topic, ids: readonly string[]): void {
    const waiting = this.#waiting.get(topic) ?? new Set<string>();
    if (ids.length === 0 || waiting === "any") this.#waiting.set(topic, "any");
    else this.#waiting.set(topic, withIds(waiting, ids));
    this.#timer ??= startTimeout(() => this.#send(), DEBOUNCE_MS);
  }

  /** Sends what waits. */
  async flush(): Promise<void> {
    if (this.#timer !== undefined) this.#send();
    await this.#sending;
  }

  #send(): void {
    stopTimeout(this.#timer);
    this.#timer = undefined;
    const hints = [...this.#waiting].map(([topic, ids]) =>
      JSON.stringify({ topic, ids: ids === "any" ? [] : [...ids] }),
    );
    this.#waiting.clear();
    const statement = { text: "SELECT pg_notify($1, n) FROM unnest($2::text[]) n", values: [this.#channel, hints] };
    // Best effort: whoever is told nothing polls.
    this.#sending = this.#connections.query(statement).catch(() => undefined);
  }
}

function withIds(waiting: Set<string>, ids: readonly string[]): Set<string> | "any" {
  let bytes = 0;
  for (const id of ids) waiting.add(id);
  for (const id of waiting) bytes += Buffer.byteLength(id) + 3;
  return bytes > MAX_PAYLOAD_BYTES ? "any" : waiting;
}
