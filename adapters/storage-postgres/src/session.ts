import type { Logger } from "weftline";
import { Connections } from "./connections.js";
import { Flushes } from "./flush.js";
import { History } from "./history.js";
import { Inbox } from "./inbox.js";
import { LeaseHolders } from "./lease-holder.js";
import { Listener } from "./listener.js";
import { Notifier } from "./notifications.js";
import type { PostgresSettings } from "./options.js";
import { Outliving } from "./outliving.js";
import { Ownership } from "./ownership.js";
import { RunCreation } from "./run-creation.js";
import type { PostgresSchema } from "./schema.js";

/** What an open storage works with, from open() to close(). */
export class Session {
  readonly flushes: Flushes;
  readonly ownership: Ownership;
  readonly creation: RunCreation;
  readonly inbox: Inbox;
  readonly history: History;
  readonly outliving: Outliving;
  readonly notifier: Notifier | undefined;
  readonly listener: Listener | undefined;
  readonly leases: LeaseHolders;
  readonly #connections: Connections;

  private constructor(settings: PostgresSettings, connections: Connections, log: Logger) {
    this.#connections = connections;
    this.flushes = new Flushes(connections);
    this.ownership = new Ownership(connections);
    this.leases = new LeaseHolders(settings, log, (request) => this.ownership.renewLease({ ...request, isNew: false }));
    this.creation = new RunCreation(connections);
    this.inbox = new Inbox(connections);
    this.history = new History(connections);
    this.outliving = new Outliving(connections);
    this.notifier = settings.notify ? new Notifier(connections, settings.schema) : undefined;
    this.listener = settings.listener && new Listener(settings, log);
  }

  static async open(settings: PostgresSettings, schema: PostgresSchema, log: Logger): Promise<Session> {
    for (const { version, name } of await schema.prepare()) {
      log.info({ schema: settings.schema, version, name }, "the database's schema was brought to a newer version");
    }
    const connections = await Connections.open(settings);
    try {
      await warnOfRelaxedDurability(connections, log);
      return new Session(settings, connections, log);
    } catch (error) {
      await connections.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.leases.stop();
    await this.notifier?.flush();
    await this.listener?.close();
    await this.#connections.close();
  }
}

/** What a server confirms before it is on the disk may be gone after a power loss. */
async function warnOfRelaxedDurability(connections: Connections, log: Logger): Promise<void> {
  const text =
    "SELECT name FROM unnest(ARRAY['fsync', 'synchronous_commit', 'full_page_writes']) name WHERE current_setting(name) = 'off'";
  const rows = await connections.query({ text, values: [], isRepeatable: true });
  if (rows.length === 0) return;
  const settings = rows.map(({ name }) => name);
  log.warn(
    { code: "DURABILITY_RELAXED", settings },
    "the database confirms commits that a power loss can take, as these of its settings are off",
  );
}
