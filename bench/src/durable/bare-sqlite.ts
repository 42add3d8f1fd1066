import { type BareRow, runBare } from "./bare-loop.js";
import type { DurableContender } from "./contender.js";

const TABLES = `
  CREATE TABLE runs (id INTEGER PRIMARY KEY, status TEXT NOT NULL, started INTEGER NOT NULL, finished INTEGER);
  CREATE TABLE tasks (
    run INTEGER, task INTEGER, status TEXT NOT NULL, output TEXT, started INTEGER NOT NULL, finished INTEGER,
    PRIMARY KEY (run, task)
  ) WITHOUT ROWID`;

/** One transaction for each flush, with statements that are prepared once: what the same rows cost without an engine. */
export function bareSqlite(durability: "full" | "normal"): DurableContender {
  return async (place) => {
    const { DatabaseSync } = await import("@photostructure/sqlite");
    const db = new DatabaseSync(place);
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${durability}; ${TABLES}`);
    const insertRun = db.prepare("INSERT INTO runs (id, status, started) VALUES (?, 'running', ?)");
    const endRun = db.prepare("UPDATE runs SET status = 'succeeded', finished = ? WHERE id = ?");
    const insertTask = db.prepare(
      "INSERT INTO tasks (run, task, status, output, started, finished) VALUES (?, ?, ?, ?, ?, ?)",
    );
    const inTransaction = (write: () => void) => {
      db.exec("BEGIN IMMEDIATE");
      write();
      db.exec("COMMIT");
    };
    const begin = async (runs: readonly number[]) =>
      inTransaction(() => {
        for (const run of runs) insertRun.run(run, Date.now());
      });
    const flush = async (rows: readonly BareRow[], ended: readonly number[]) =>
      inTransaction(() => {
        for (const { run, task, status, output, started, finished } of rows) {
          insertTask.run(run, task, status, output, started, finished);
        }
        for (const run of ended) endRun.run(Date.now(), run);
      });
    return { run: (workload) => runBare(workload, { begin, flush }), close: async () => db.close() };
  };
}
