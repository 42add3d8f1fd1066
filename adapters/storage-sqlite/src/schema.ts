/** Part of every index of unfinished runs, and so of every query that is to use one. */
/** Claims take such a run before others. */
export const HAS_BEGUN = "(status <> 'queued')";
export const UNFINISHED = "status IN ('queued', 'running', 'waiting', 'paused')";

/**
 * The tables, as version 1 has them. Records of a run are kept under its number, in the order in which they are listed.
 * What most records lack is kept as JSON in one column, `rest`.
 */
export const TABLES = `
CREATE TABLE weftline_meta (
  name TEXT PRIMARY KEY,
  value NOT NULL
) WITHOUT ROWID;

CREATE TABLE weftline_engines (
  id TEXT PRIMARY KEY,
  lease_until INTEGER NOT NULL,
  definitions TEXT NOT NULL
) WITHOUT ROWID;

-- The last flush of each engine, and its answer.
CREATE TABLE weftline_flushes (
  engine TEXT PRIMARY KEY,
  id TEXT NOT NULL,
  number INTEGER NOT NULL,
  fenced TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE weftline_definitions (
  hash TEXT PRIMARY KEY,
  pipeline TEXT NOT NULL,
  graph TEXT NOT NULL
);

-- The pairs of pipeline and definition that runs have.
CREATE TABLE weftline_kinds (
  n INTEGER PRIMARY KEY,
  definition TEXT NOT NULL,
  pipeline TEXT NOT NULL,
  UNIQUE (definition, pipeline)
);
CREATE INDEX weftline_kinds_pipeline ON weftline_kinds (pipeline);

-- ready: its time has come, by the clock of some engine. origin: tags, parent, schedule. state: deadline, error.
CREATE TABLE weftline_runs (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL,
  kind INTEGER NOT NULL,
  status TEXT NOT NULL,
  owner TEXT,
  epoch INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  crashes INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  ready INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  available_at INTEGER NOT NULL,
  started_at INTEGER,
  finished_at INTEGER,
  key TEXT,
  fingerprint TEXT NOT NULL,
  parent TEXT,
  origin TEXT,
  state TEXT,
  params TEXT NOT NULL
);
CREATE UNIQUE INDEX weftline_runs_id ON weftline_runs (id);
CREATE INDEX weftline_runs_key ON weftline_runs (key, created_at) WHERE key IS NOT NULL;
CREATE INDEX weftline_runs_status ON weftline_runs (status, created_at);
CREATE INDEX weftline_runs_kind ON weftline_runs (kind, status, created_at);
CREATE INDEX weftline_runs_parent ON weftline_runs (parent, created_at) WHERE parent IS NOT NULL;
CREATE INDEX weftline_runs_owner ON weftline_runs (owner, created_at) WHERE owner IS NOT NULL;
CREATE INDEX weftline_runs_active ON weftline_runs (kind) WHERE owner IS NOT NULL;
CREATE INDEX weftline_runs_free ON weftline_runs (kind, crashes, ${HAS_BEGUN} DESC, priority DESC, created_at)
  WHERE owner IS NULL AND ready = 1 AND ${UNFINISHED};
CREATE INDEX weftline_runs_delayed ON weftline_runs (kind, available_at)
  WHERE owner IS NULL AND ready = 0 AND ${UNFINISHED};

-- kind, status, created_at: as the run has them, so that no listing goes through runs that other filters leave out.
CREATE TABLE weftline_tags (
  tag TEXT NOT NULL,
  kind INTEGER NOT NULL,
  status TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  run INTEGER NOT NULL,
  PRIMARY KEY (tag, kind, status, created_at, run)
) WITHOUT ROWID;

-- Numbers of runs that were deleted, but for some of their records.
CREATE TABLE weftline_trash (
  run INTEGER PRIMARY KEY
);

-- Which executor of which engine attempts ran on.
CREATE TABLE weftline_workers (
  n INTEGER PRIMARY KEY,
  engine TEXT NOT NULL,
  executor TEXT NOT NULL,
  UNIQUE (engine, executor)
);

-- worker: set where the first attempt is as the task, in status and times; it has no row of its own then, or none that
-- counts.
CREATE TABLE weftline_tasks (
  run INTEGER NOT NULL,
  position INTEGER NOT NULL,
  path TEXT NOT NULL,
  generation INTEGER NOT NULL,
  task TEXT NOT NULL,
  status TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  attempts_before INTEGER NOT NULL,
  started_at INTEGER,
  finished_at INTEGER,
  worker INTEGER,
  rest TEXT,
  output TEXT,
  PRIMARY KEY (run, position, path, generation)
) WITHOUT ROWID;

CREATE TABLE weftline_attempts (
  run INTEGER NOT NULL,
  position INTEGER NOT NULL,
  path TEXT NOT NULL,
  generation INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  task TEXT NOT NULL,
  status TEXT NOT NULL,
  worker INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  finished_at INTEGER,
  error TEXT,
  PRIMARY KEY (run, position, path, generation, attempt)
) WITHOUT ROWID;

CREATE TABLE weftline_logs (
  run INTEGER NOT NULL,
  line INTEGER NOT NULL,
  task TEXT NOT NULL,
  path TEXT NOT NULL,
  generation INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  at INTEGER NOT NULL,
  level TEXT NOT NULL,
  message TEXT NOT NULL,
  data TEXT,
  PRIMARY KEY (run, line)
) WITHOUT ROWID;

-- value: a number, or a text for those that SQLite does not keep: NaN and -0.
CREATE TABLE weftline_metrics (
  run INTEGER NOT NULL,
  line INTEGER NOT NULL,
  task TEXT NOT NULL,
  path TEXT NOT NULL,
  generation INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  at INTEGER NOT NULL,
  name TEXT NOT NULL,
  value NOT NULL,
  PRIMARY KEY (run, line)
) WITHOUT ROWID;

CREATE TABLE weftline_artifacts (
  run INTEGER NOT NULL,
  line INTEGER NOT NULL,
  task TEXT NOT NULL,
  path TEXT NOT NULL,
  generation INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  at INTEGER NOT NULL,
  name TEXT NOT NULL,
  content_type TEXT NOT NULL,
  size INTEGER NOT NULL,
  data BLOB NOT NULL,
  PRIMARY KEY (run, line)
) WITHOUT ROWID;

CREATE TABLE weftline_steps (
  run INTEGER NOT NULL,
  line INTEGER NOT NULL,
  task TEXT NOT NULL,
  path TEXT NOT NULL,
  generation INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  at INTEGER NOT NULL,
  step TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  output TEXT NOT NULL,
  PRIMARY KEY (run, line)
) WITHOUT ROWID;
CREATE UNIQUE INDEX weftline_steps_name ON weftline_steps (run, task, path, generation, step);

CREATE TABLE weftline_assets (
  run INTEGER NOT NULL,
  line INTEGER NOT NULL,
  task TEXT NOT NULL,
  path TEXT NOT NULL,
  generation INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  at INTEGER NOT NULL,
  asset TEXT NOT NULL,
  PRIMARY KEY (run, line)
) WITHOUT ROWID;

-- What was said to runs, and signals to keys, which have no run as long as no task of one takes them.
CREATE TABLE weftline_messages (
  arrival INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  run INTEGER,
  key TEXT,
  sent_at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  body TEXT
);
CREATE UNIQUE INDEX weftline_messages_run ON weftline_messages (run, id) WHERE run IS NOT NULL;
CREATE INDEX weftline_messages_key ON weftline_messages (key, arrival) WHERE run IS NULL;
CREATE INDEX weftline_messages_sent ON weftline_messages (sent_at) WHERE run IS NULL;

-- Tasks that wait for a signal to a key, in the order in which they began to.
CREATE TABLE weftline_waits (
  turn INTEGER PRIMARY KEY,
  run INTEGER NOT NULL,
  position INTEGER NOT NULL,
  path TEXT NOT NULL,
  generation INTEGER NOT NULL,
  key TEXT NOT NULL,
  UNIQUE (run, position, path)
);
CREATE INDEX weftline_waits_key ON weftline_waits (key, turn);

-- Keys of which there are signals and tasks that wait.
CREATE TABLE weftline_matches (
  key TEXT PRIMARY KEY
) WITHOUT ROWID;

CREATE TABLE weftline_cache (
  key TEXT PRIMARY KEY,
  run_id TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  output TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX weftline_cache_expiry ON weftline_cache (expires_at);

CREATE TABLE weftline_schedules (
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  pipeline TEXT NOT NULL,
  spec TEXT NOT NULL,
  next_at INTEGER,
  last_at INTEGER
);
`.trim();
