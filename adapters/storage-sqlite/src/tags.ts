import type { RunStatus } from "weftline";
import type { Connection } from "./connection.js";
import { tagsOf } from "./rows.js";

/** A run as far as its tags repeat it. */
export interface TaggedRun {
  readonly n: number;
  readonly kind: number;
  readonly status: string;
  readonly created_at: number;
  /** As JSON. */
  readonly origin: string | null;
}
export const TAGGED_RUN = "n, kind, status, created_at, origin";

const IS_OF_RUN = "tag = ? AND kind = ? AND status = ? AND created_at = ? AND run = ?";

export function putTags(connection: Connection, run: TaggedRun): void {
  const sql = "INSERT INTO weftline_tags (tag, kind, status, created_at, run) VALUES (?, ?, ?, ?, ?)";
  for (const tag of tagsOf(run.origin)) connection.run(sql, tag, run.kind, run.status, run.created_at, run.n);
}

/** The run is of another status, or of another kind, from now on. */
export function moveTags(
  connection: Connection,
  run: TaggedRun,
  to: { readonly status: RunStatus } | { readonly kind: number },
): void {
  const sql = `UPDATE weftline_tags SET ${"kind" in to ? "kind" : "status"} = ? WHERE ${IS_OF_RUN}`;
  const value = "kind" in to ? to.kind : to.status;
  for (const tag of tagsOf(run.origin)) connection.run(sql, value, tag, run.kind, run.status, run.created_at, run.n);
}

export function dropTags(connection: Connection, run: TaggedRun): void {
  const sql = `DELETE FROM weftline_tags WHERE ${IS_OF_RUN}`;
  for (const tag of tagsOf(run.origin)) connection.run(sql, tag, run.kind, run.status, run.created_at, run.n);
}
