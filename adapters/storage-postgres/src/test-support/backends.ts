import { connectionStringWith, withClient } from "./database.js";

/** A connection string whose connections are told by their name. */
export function named(name: string): string {
  return connectionStringWith((url) => url.searchParams.set("application_name", name));
}

export async function backendsOf(
  name: string,
): Promise<{ readonly pid: number; readonly state: string; readonly waits: string }[]> {
  return withClient(async (client) => {
    const { rows } = await client.query(
      "SELECT pid, state, coalesce(wait_event_type, '') AS waits FROM pg_stat_activity WHERE application_name = $1",
      [name],
    );
    return rows;
  });
}

export async function endBackendsOf(name: string): Promise<void> {
  await withClient((client) =>
    client.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", [name]),
  );
}
