/** Tables whose rows come and go: to be cleaned up long before a fifth of them is waste. */
const BUSY = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000";

/**
 * The tables of version 1. `{schema}` stands for the quoted schema, `{schema:name}` for a text that names something in it.
 *
 * - What belongs to a run carries its number, which is made here and never leaves the database; ids are looked up once.
 * - A path is the index of an item as text that sorts as the numbers do, see `paths.ts`; empty for a task itself.
 * - Text columns compare by bytes: by a language's rules, two texts that differ may be equal, and order is slower.
 */
export const TABLES = `
CREATE TABLE {schema}.engines (
  id text COLLATE "C" PRIMARY KEY,
  lease_until timestamptz NOT NULL,
  definitions text[] NOT NULL
-- Room for many versions of a row on its page: renewals need no new index entries, and clean up after themselves.
) WITH (fillfactor = 10, ${BUSY});

-- What was answered to flushes that may be sent again. Only ever inserted and deleted: a row that is written with each
-- flush would leave a trail that every flush has to walk while some old transaction keeps it from being cleaned up.
CREATE TABLE {schema}.flushes (
  engine text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  number bigint NOT NULL,
  fenced text[],
  PRIMARY KEY (engine, number)
) WITH (${BUSY});

CREATE TABLE {schema}.runs (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  created_at bigint NOT NULL,
  available_at bigint NOT NULL,
  priority bigint NOT NULL,
  started_at bigint,
  finished_at bigint,
  deadline_at bigint,
  instant bigint,
  epoch bigint NOT NULL DEFAULT 0,
  generation integer NOT NULL DEFAULT 1,
  crashes integer NOT NULL DEFAULT 0,
  id text COLLATE "C" NOT NULL,
  pipeline text COLLATE "C" NOT NULL,
  definition text COLLATE "C" NOT NULL,
  status text COLLATE "C" NOT NULL DEFAULT 'queued',
  -- The status of a run that has ended.
  outcome text COLLATE "C",
  owner text COLLATE "C",
  key text COLLATE "C",
  fingerprint text COLLATE "C" NOT NULL,
  params text COLLATE "C" NOT NULL,
  tags text[] NOT NULL,
  parent_run text COLLATE "C",
  parent_task text COLLATE "C",
  parent_path text COLLATE "C",
  schedule text COLLATE "C",
  error text COLLATE "C"
) WITH (fillfactor = 50);
-- None of these is of a column that changes: with the room that is left on each page, a run goes on and ends without a
-- word to any of them. What changes is found by way of the three tables below.
CREATE UNIQUE INDEX runs_by_id ON {schema}.runs (id);
CREATE UNIQUE INDEX runs_by_key ON {schema}.runs (key, pipeline) WHERE key IS NOT NULL;
-- Listings, newest first.
CREATE INDEX runs_by_age ON {schema}.runs (created_at, number);
CREATE INDEX runs_by_pipeline ON {schema}.runs (pipeline, created_at, number);
CREATE INDEX runs_by_definition ON {schema}.runs (definition, created_at, number);
CREATE INDEX runs_by_parent ON {schema}.runs (parent_run, created_at, number) WHERE parent_run IS NOT NULL;

-- Runs that have not ended and have an owner.
CREATE TABLE {schema}.owned (
  run bigint NOT NULL,
  created_at bigint NOT NULL,
  owner text COLLATE "C" NOT NULL,
  pipeline text COLLATE "C" NOT NULL,
  PRIMARY KEY (owner, run) INCLUDE (pipeline)
) WITH (${BUSY});

-- Runs that have not ended and have none.
CREATE TABLE {schema}.free (
  run bigint PRIMARY KEY,
  created_at bigint NOT NULL,
  available_at bigint NOT NULL,
  priority bigint NOT NULL,
  crashes integer NOT NULL,
  begun boolean NOT NULL DEFAULT false,
  -- It is to start later than it was created, and nobody has noticed yet that its time has come.
  delayed boolean NOT NULL,
  definition text COLLATE "C" NOT NULL,
  pipeline text COLLATE "C" NOT NULL
) WITH (${BUSY});
-- These lead a claim straight to what may be taken, however many others there are.
CREATE INDEX free_due ON {schema}.free (definition, pipeline, crashes, begun DESC, priority DESC, created_at, run) WHERE NOT delayed;
CREATE INDEX free_delayed ON {schema}.free (definition, available_at) WHERE delayed;

-- Runs that have ended.
CREATE TABLE {schema}.ended (
  created_at bigint NOT NULL,
  run bigint NOT NULL,
  finished_at bigint,
  outcome text COLLATE "C" NOT NULL,
  pipeline text COLLATE "C" NOT NULL,
  PRIMARY KEY (outcome, created_at, run)
);
CREATE INDEX ended_badly ON {schema}.ended (created_at, run) WHERE outcome <> 'succeeded';
CREATE INDEX ended_badly_by_pipeline ON {schema}.ended (pipeline, created_at, run) WHERE outcome <> 'succeeded';

CREATE TABLE {schema}.tags (
  created_at bigint NOT NULL,
  run bigint NOT NULL,
  tag text COLLATE "C" NOT NULL,
  pipeline text COLLATE "C" NOT NULL,
  PRIMARY KEY (tag, created_at, run) INCLUDE (pipeline)
);

-- Executor and engine of attempts: a number instead of two texts in each.
CREATE TABLE {schema}.origins (
  number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  executor text COLLATE "C" NOT NULL,
  engine text COLLATE "C" NOT NULL,
  UNIQUE (engine, executor)
);

CREATE SEQUENCE {schema}.turns;
CREATE TABLE {schema}.tasks (
  run bigint NOT NULL,
  started_at bigint,
  finished_at bigint,
  -- Whose turn it is among those that wait for signals to one key.
  wait_turn bigint,
  position integer NOT NULL,
  generation integer NOT NULL,
  attempts integer NOT NULL,
  -- Where its first attempt ran, while that says nothing else that this row does not say; see the view of attempts.
  origin integer,
  path text COLLATE "C" NOT NULL,
  task text COLLATE "C" NOT NULL,
  status text COLLATE "C" NOT NULL,
  output text COLLATE "C",
  wait_key text COLLATE "C",
  -- JSON: what few tasks have.
  more text COLLATE "C",
  PRIMARY KEY (run, position, path, generation)
) WITH (fillfactor = 90);
CREATE INDEX tasks_anew ON {schema}.tasks (run, position, path, generation) WHERE generation > 1;
CREATE INDEX tasks_waiting ON {schema}.tasks (wait_key) WHERE wait_key IS NOT NULL;

CREATE TABLE {schema}.attempts (
  run bigint NOT NULL,
  started_at bigint NOT NULL,
  finished_at bigint,
  position integer NOT NULL,
  generation integer NOT NULL,
  attempt integer NOT NULL,
  origin integer NOT NULL,
  path text COLLATE "C" NOT NULL,
  task text COLLATE "C" NOT NULL,
  status text COLLATE "C" NOT NULL,
  error text COLLATE "C",
  PRIMARY KEY (run, position, path, generation, attempt)
);

CREATE TABLE {schema}.logs (
  run bigint NOT NULL,
  number bigint GENERATED ALWAYS AS IDENTITY,
  at bigint NOT NULL,
  generation integer NOT NULL,
  attempt integer NOT NULL,
  task text COLLATE "C" NOT NULL,
  path text COLLATE "C" NOT NULL,
  level text COLLATE "C" NOT NULL,
  message text COLLATE "C" NOT NULL,
  data text COLLATE "C",
  PRIMARY KEY (run, number)
);
CREATE TABLE {schema}.metrics (
  run bigint NOT NULL,
  number bigint GENERATED ALWAYS AS IDENTITY,
  at bigint NOT NULL,
  value double precision NOT NULL,
  generation integer NOT NULL,
  attempt integer NOT NULL,
  task text COLLATE "C" NOT NULL,
  path text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  PRIMARY KEY (run, number)
);
CREATE TABLE {schema}.artifacts (
  run bigint NOT NULL,
  number bigint GENERATED ALWAYS AS IDENTITY,
  at bigint NOT NULL,
  size bigint NOT NULL,
  generation integer NOT NULL,
  attempt integer NOT NULL,
  task text COLLATE "C" NOT NULL,
  path text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  content_type text COLLATE "C" NOT NULL,
  data bytea NOT NULL,
  PRIMARY KEY (run, number)
);
CREATE TABLE {schema}.assets (
  run bigint NOT NULL,
  number bigint GENERATED ALWAYS AS IDENTITY,
  at bigint NOT NULL,
  generation integer NOT NULL,
  attempt integer NOT NULL,
  task text COLLATE "C" NOT NULL,
  path text COLLATE "C" NOT NULL,
  asset text COLLATE "C" NOT NULL,
  PRIMARY KEY (run, number)
);
CREATE TABLE {schema}.steps (
  run bigint NOT NULL,
  number bigint GENERATED ALWAYS AS IDENTITY,
  at bigint NOT NULL,
  started_at bigint NOT NULL,
  generation integer NOT NULL,
  attempt integer NOT NULL,
  task text COLLATE "C" NOT NULL,
  path text COLLATE "C" NOT NULL,
  step text COLLATE "C" NOT NULL,
  output text COLLATE "C" NOT NULL,
  PRIMARY KEY (run, number),
  UNIQUE (run, task, path, generation, step)
);

CREATE SEQUENCE {schema}.arrivals;
CREATE TABLE {schema}.messages (
  run bigint NOT NULL,
  -- Rises with every message and signal: which of two is older.
  arrival bigint NOT NULL DEFAULT nextval({schema:arrivals}),
  sent_at bigint NOT NULL,
  id text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  signal_key text COLLATE "C",
  -- JSON: what its kind says beside that.
  body text COLLATE "C" NOT NULL,
  PRIMARY KEY (run, id)
) WITH (${BUSY});
CREATE TABLE {schema}.signals (
  arrival bigint NOT NULL DEFAULT nextval({schema:arrivals}) PRIMARY KEY,
  sent_at bigint NOT NULL,
  id text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  payload text COLLATE "C" NOT NULL,
  UNIQUE (key, id)
);

CREATE TABLE {schema}.cache (
  key text COLLATE "C" PRIMARY KEY,
  expires_at bigint NOT NULL,
  run_id text COLLATE "C" NOT NULL,
  output text COLLATE "C" NOT NULL
);
CREATE INDEX cache_by_end ON {schema}.cache (expires_at);

CREATE TABLE {schema}.definitions (
  hash text COLLATE "C" PRIMARY KEY,
  pipeline text COLLATE "C" NOT NULL,
  graph text COLLATE "C" NOT NULL
);

CREATE TABLE {schema}.schedules (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  next_at bigint,
  last_at bigint,
  id text COLLATE "C" NOT NULL UNIQUE,
  pipeline text COLLATE "C" NOT NULL,
  spec text COLLATE "C" NOT NULL
);
`;
