import { openDoor } from "../services/round-trips.js";
import { pause } from "./clock.js";

export interface IdleQueriesRequest {
  /** The connection string of an empty database. */
  readonly place: string;
  /** Whether the storage listens for notifications. */
  readonly notify: boolean;
  readonly seconds: number;
  /** What happens once after the start is over by then. */
  readonly settleMs: number;
}

/** @returns How many queries a second an engine asks that has nothing to do. */
export async function idleQueriesProbe({ place, notify, seconds, settleMs }: IdleQueriesRequest): Promise<number> {
  const { createEngine, pipeline } = await import("weftline");
  const { postgresStorage } = await import("@weftline/storage-postgres");
  const door = await openDoor(place);
  const flow = pipeline("idle", (p) => {
    p.task("only", () => undefined);
  });
  const engine = createEngine({ pipelines: [flow], storage: postgresStorage({ connectionString: door.url, notify }) });
  await engine.start();
  await engine.run(flow);
  await pause(settleMs);
  const before = door.count();
  await pause(seconds * 1_000);
  const asked = door.count() - before;
  await engine.stop();
  await door.close();
  return asked / seconds;
}
