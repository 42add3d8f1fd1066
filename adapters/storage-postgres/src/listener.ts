import type { Logger, StorageHint } from "weftline";
import { connectionConfig, type Driver, loadDriver } from "./connections.js";
import { Deadline } from "./deadline.js";
import { channelOf } from "./notifications.js";
import type { PostgresSettings } from "./options.js";

const { setTimeout: startTimeout, clearTimeout: stopTimeout, setInterval: startInterval, clearInterval } = globalThis;

const FIRST_RECONNECT_MS = 500;
const MAX_RECONNECT_MS = 30_000;
/** So long a notification may be on its way before it is said that none arrives. */
const PROBE_MS = 5_000;

type Client = InstanceType<Driver["Client"]>;

/** Hears of changes on a connection of its own, which is made again whenever it is lost. Never fails: at worst it is silent. */
export class Listener {
  readonly #settings: PostgresSettings;
  readonly #log: Logger;
  readonly #listeners = new Set<(hint: StorageHint) => void>();
  #ear: Ear | undefined;
  #connecting: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #delay = FIRST_RECONNECT_MS;

  constructor(settings: PostgresSettings, log: Logger) {
    this.#settings = settings;
    this.#log = log;
  }

  /** Settles when hints arrive from now on, or when it turned out that they do not yet. */
  async add(onHint: (hint: StorageHint) => void): Promise<() => Promise<void>> {
    // One for each subscription, as the same function may subscribe twice.
    const listener = (hint: StorageHint) => onHint(hint);
    this.#listeners.add(listener);
    if (this.#ear === undefined && this.#timer === undefined) this.#connecting ??= this.#connect();
    await this.#connecting;
    return async () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) await this.#disconnect();
    };
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    await this.#disconnect();
  }

  async #connect(): Promise<void> {
    try {
      const ear = await Ear.open(this.#settings, this.#log, {
        onHint: (hint) => this.#tell(hint),
        onLost: (error) => {
          this.#ear = undefined;
          this.#connectLater(error);
        },
      });
      if (this.#listeners.size === 0) return await ear.close();
      this.#ear = ear;
      this.#delay = FIRST_RECONNECT_MS;
      // What was missed meanwhile.
      for (const topic of ["runs", "finished", "inbox", "schedules"] as const) this.#tell({ topic, ids: [] });
    } catch (error) {
      this.#connectLater(error);
    } finally {
      this.#connecting = undefined;
    }
  }

  #connectLater(error: unknown): void {
    if (this.#listeners.size === 0 || this.#timer !== undefined) return;
    this.#log.warn(
      { error, inMs: this.#delay },
      "the database's notifications are not heard; polling, and trying again",
    );
    this.#timer = startTimeout(
      () => {
        this.#timer = undefined;
        this.#connecting ??= this.#connect();
      },
      this.#delay * (0.5 + Math.random() / 2),
    );
    this.#timer.unref();
    this.#delay = Math.min(this.#delay * 2, MAX_RECONNECT_MS);
  }

  async #disconnect(): Promise<void> {
    stopTimeout(this.#timer);
    this.#timer = undefined;
    await this.#connecting;
    const ear = this.#ear;
    this.#ear = undefined;
    await ear?.close();
  }

  #tell(hint: StorageHint): void {
    for (const listener of this.#listeners) listener(hint);
  }
}

interface EarOptions {
  readonly onHint: (hint: StorageHint) => void;
  readonly onLost: (error: unknown) => void;
}

/** One connection that listens, from when it is made until it is lost. */
class Ear {
  readonly #client: Client;
  readonly #log: Logger;
  readonly #options: EarOptions;
  readonly #timeoutMs: number;
  #pulse: NodeJS.Timeout | undefined;
  #probe: NodeJS.Timeout | undefined;
  #isOver = false;

  private constructor(client: Client, timeoutMs: number, log: Logger, options: EarOptions) {
    this.#client = client;
    this.#timeoutMs = timeoutMs;
    this.#log = log;
    this.#options = options;
  }

  static async open(settings: PostgresSettings, log: Logger, options: EarOptions): Promise<Ear> {
    const driver = await loadDriver();
    const client = new driver.Client(connectionConfig(driver, settings.listener!));
    const ear = new Ear(client, settings.timeoutMs, log, options);
    client.on("error", (error) => ear.#lost(error));
    client.on("end", () => ear.#lost(undefined));
    client.on("notification", ({ payload }) => ear.#heard(payload));
    try {
      await ear.#listen(channelOf(settings.schema));
      return ear;
    } catch (error) {
      await ear.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#isOver = true;
    clearInterval(this.#pulse);
    stopTimeout(this.#probe);
    const ending = this.#client.end().catch(() => undefined);
    await new Deadline(this.#timeoutMs).limit(ending).catch(() => undefined);
  }

  async #listen(channel: string): Promise<void> {
    const deadline = new Deadline(this.#timeoutMs);
    await deadline.limit(this.#client.connect());
    await deadline.limit(this.#client.query(`LISTEN ${this.#client.escapeIdentifier(channel)}`));
    // The engine says how long the process lives.
    (this.#client as Client & { unref(): void }).unref();
    this.#probe = startTimeout(() => this.#nothingHeard(), PROBE_MS).unref();
    await deadline.limit(this.#client.query("SELECT pg_notify($1, '')", [channel]));
    // A connection that went silent would never be missed: nothing is all that it ever hears.
    this.#pulse = startInterval(() => void this.#checkPulse(), this.#timeoutMs).unref();
  }

  async #checkPulse(): Promise<void> {
    try {
      await new Deadline(this.#timeoutMs).limit(this.#client.query("SELECT 1"));
    } catch (error) {
      this.#lost(error);
    }
  }

  #lost(error: unknown): void {
    if (this.#isOver) return;
    void this.close();
    this.#options.onLost(error);
  }

  #heard(payload: string | undefined): void {
    stopTimeout(this.#probe);
    try {
      this.#options.onHint(JSON.parse(payload!) as StorageHint);
    } catch {
      // Our own probe, or somebody else's: anybody may notify.
    }
  }

  #nothingHeard(): void {
    this.#log.warn(
      {},
      "the database takes LISTEN but passes no notifications on, as PgBouncer in transaction mode does; polling. Give postgresStorage() a `listen.connectionString` that goes past it, or `listen: false`",
    );
  }
}
