/** Creating, telling and deleting runs, version 1. */
import { SETTINGS, SETTINGS_FOR_LISTS } from "./settings.js";

/** That no record of a newer generation stands for the task or item `t`, or for what it is a part of. */
const CURRENT = `NOT EXISTS (
  SELECT 1 FROM {schema}.tasks o
    WHERE o.run = t.run AND o.position = t.position AND o.generation > 1 AND o.generation > t.generation
      AND o.path = ANY (ARRAY(SELECT left(t.path, n) FROM generate_series(0, length(t.path)) n))
)`;

export const RUN_FUNCTIONS = `
-- Creates runs, given as a JSON list. Answers with a JSON list of what became of those that were not created, by their
-- places, which count from 1; NULL: all were created.
CREATE FUNCTION {schema}.create_runs_v1(p_runs text, p_owners text[]) RETURNS text LANGUAGE plpgsql ${SETTINGS} AS $$
DECLARE
  v_runs json := p_runs;
  v_count integer := json_array_length(v_runs);
  -- The ids of those that were created, as keys.
  v_created jsonb := '{}';
  v_more jsonb;
  v_missing integer := v_count;
  v_answers json;
  v_is_complete boolean;
BEGIN
  IF cardinality(p_owners) > 0 THEN
    PERFORM 1 FROM {schema}.engines WHERE id = ANY (p_owners) ORDER BY id FOR KEY SHARE;
    IF EXISTS (SELECT 1 FROM unnest(p_owners) o WHERE NOT EXISTS (SELECT 1 FROM {schema}.engines WHERE id = o)) THEN
      RAISE EXCEPTION 'the engine has no lease' USING ERRCODE = 'WL001';
    END IF;
  END IF;

  -- A run that was in the way may be deleted before it is read: then there is room for the new one.
  FOR attempt IN 1 .. 10 LOOP
    WITH created AS (
      INSERT INTO {schema}.runs (id, pipeline, definition, params, key, fingerprint, tags, priority, parent_run,
          parent_task, parent_path, created_at, available_at, schedule, instant, owner, epoch)
        SELECT n.id, n.pipeline, n.definition, n.params, n.key, n.fingerprint, n.tags, n.priority, n.parent_run,
            n.parent_task, n.parent_path, n.created_at, n.available_at, n.schedule,
            n.instant, n.owner, CASE WHEN n.owner IS NULL THEN 0 ELSE 1 END
          FROM json_to_recordset(v_runs) n(id text, pipeline text, definition text, params text, key text,
            fingerprint text, tags text[], priority bigint, parent_run text, parent_task text, parent_path text,
            created_at bigint, available_at bigint, schedule text, instant bigint, owner text)
          WHERE NOT v_created ? n.id
        ON CONFLICT DO NOTHING
        RETURNING id, number, created_at, available_at, priority, definition, pipeline, owner, tags
    ), owned AS (
      INSERT INTO {schema}.owned (owner, pipeline, run, created_at)
        SELECT owner, pipeline, number, created_at FROM created WHERE owner IS NOT NULL
    ), freed AS (
      INSERT INTO {schema}.free (run, created_at, available_at, priority, crashes, delayed, definition, pipeline)
        SELECT number, created_at, available_at, priority, 0, available_at > created_at, definition, pipeline
          FROM created WHERE owner IS NULL
    ), tagged AS (
      INSERT INTO {schema}.tags (tag, created_at, run, pipeline)
        SELECT DISTINCT t.tag, c.created_at, c.number, c.pipeline FROM created c CROSS JOIN LATERAL unnest(c.tags) t(tag)
    )
    SELECT v_missing - count(*), jsonb_object_agg(c.id, NULL) INTO v_missing, v_more FROM created c;
    IF v_missing = 0 THEN RETURN NULL; END IF;
    v_created := v_created || coalesce(v_more, '{}');

    SELECT json_agg(json_build_object('place', n.place, 'conflict', n.is_conflict, 'run', to_json(r)) ORDER BY n.place),
        bool_and(r.id IS NOT NULL)
      INTO v_answers, v_is_complete
      FROM (
        SELECT n.place, coalesce(known.number, used.number) AS number,
            known.number IS NULL AND used.fingerprint <> n.fingerprint AS is_conflict
          FROM (
            SELECT n.*, row_number() OVER (PARTITION BY n.id ORDER BY n.place) AS turn
              FROM ROWS FROM (
                json_to_recordset(v_runs) AS (id text, pipeline text, key text, fingerprint text)
              ) WITH ORDINALITY n(id, pipeline, key, fingerprint, place)
          ) n
          LEFT JOIN {schema}.runs known ON known.id = n.id
          LEFT JOIN {schema}.runs used ON used.key = n.key AND used.pipeline = n.pipeline
          -- Of several requests with one id, the first made the run.
          WHERE n.turn > 1 OR NOT v_created ? n.id
      ) n
      LEFT JOIN {schema}.runs r ON r.number = n.number;
    IF v_is_complete THEN RETURN v_answers; END IF;
  END LOOP;
  RAISE EXCEPTION 'runs were created and deleted again and again' USING ERRCODE = '40001';
END $$;

-- Answers the code of a refusal, or NULL, for each message of a JSON list.
CREATE FUNCTION {schema}.send_v1(p_messages text) RETURNS text[] LANGUAGE plpgsql ${SETTINGS} AS $$
DECLARE
  v_messages json := p_messages;
  v_message record;
  v_run {schema}.runs;
  v_answers text[] := '{}';
  v_answer text;
BEGIN
  PERFORM {schema}.check_isolation_v1();
  -- In order, so that two senders never wait for each other.
  PERFORM 1 FROM {schema}.runs
    WHERE id IN (SELECT x ->> 'run' FROM json_array_elements(v_messages) x) ORDER BY number FOR NO KEY UPDATE;
  FOR v_message IN
    SELECT * FROM json_to_recordset(v_messages) n(id text, run text, sent_at bigint, kind text, signal_key text,
      body text, is_whole boolean)
  LOOP
    SELECT * INTO v_run FROM {schema}.runs WHERE id = v_message.run;
    v_answer := CASE
      WHEN NOT FOUND THEN 'RUN_UNKNOWN'
      WHEN v_message.kind NOT IN ('resume', 'rerun') THEN CASE WHEN v_run.outcome IS NOT NULL THEN 'RUN_FINISHED' END
      WHEN v_run.outcome IS NULL THEN 'RUN_ACTIVE'
      WHEN v_message.kind = 'resume' AND v_run.outcome = 'succeeded' THEN 'RUN_FINISHED'
    END;
    v_answers := array_append(v_answers, v_answer);
    CONTINUE WHEN v_answer IS NOT NULL;
    IF v_message.kind IN ('resume', 'rerun') THEN
      UPDATE {schema}.runs SET status = 'queued', outcome = NULL, finished_at = NULL, error = NULL, crashes = 0
        WHERE number = v_run.number;
      DELETE FROM {schema}.ended
        WHERE outcome = v_run.outcome AND created_at = v_run.created_at AND run = v_run.number;
      INSERT INTO {schema}.free (run, created_at, available_at, priority, crashes, delayed, definition, pipeline)
        VALUES (v_run.number, v_run.created_at, v_run.available_at, v_run.priority, 0,
          v_run.available_at > v_run.created_at, v_run.definition, v_run.pipeline);
    ELSIF v_message.is_whole AND v_message.sent_at < v_run.available_at THEN
      UPDATE {schema}.runs SET available_at = v_message.sent_at WHERE number = v_run.number;
      UPDATE {schema}.free SET available_at = v_message.sent_at WHERE run = v_run.number;
    END IF;
    INSERT INTO {schema}.messages (run, sent_at, id, kind, signal_key, body)
      VALUES (v_run.number, v_message.sent_at, v_message.id, v_message.kind, v_message.signal_key, v_message.body)
      ON CONFLICT DO NOTHING;
  END LOOP;
  RETURN v_answers;
END $$;

CREATE FUNCTION {schema}.receive_v1(p_engine text)
RETURNS TABLE (run_id text, id text, sent_at bigint, kind text, signal_key text, body text)
LANGUAGE plpgsql ${SETTINGS_FOR_LISTS} AS $$
#variable_conflict use_column
BEGIN
  IF EXISTS (
    SELECT 1 FROM {schema}.signals s WHERE (
      SELECT true FROM {schema}.tasks t
        WHERE t.wait_key = s.key AND (SELECT r.owner FROM {schema}.runs r WHERE r.number = t.run) = p_engine LIMIT 1
    )
  ) THEN
    PERFORM {schema}.check_isolation_v1();
    -- One after the other, or several would reach for the same signal.
    PERFORM pg_advisory_xact_lock(hashtextextended({schema:signals}, 0));
    WITH unserved AS (
      SELECT w.wait_key, w.run, row_number() OVER (PARTITION BY w.wait_key ORDER BY w.wait_turn) AS place
        FROM (
          SELECT t.wait_key, t.wait_turn, t.run,
              row_number() OVER (PARTITION BY t.wait_key, t.run ORDER BY t.wait_turn) AS turn
            FROM {schema}.tasks t
            WHERE t.wait_key IN (SELECT s.key FROM {schema}.signals s)
              AND (SELECT r.owner FROM {schema}.runs r WHERE r.number = t.run) = p_engine
              AND ${CURRENT}
        ) w
        WHERE w.turn > (SELECT count(*) FROM {schema}.messages m WHERE m.run = w.run AND m.signal_key = w.wait_key)
    ), given AS (
      SELECT s.arrival, u.run
        FROM unserved u JOIN (
          SELECT s.arrival, s.key, row_number() OVER (PARTITION BY s.key ORDER BY s.arrival) AS place
            FROM {schema}.signals s WHERE s.key IN (SELECT wait_key FROM unserved)
        ) s ON s.key = u.wait_key AND s.place = u.place
    ), moved AS (
      DELETE FROM {schema}.signals s USING given g WHERE s.arrival = g.arrival
        RETURNING s.arrival, s.sent_at, s.id, s.key, s.payload, g.run
    )
    INSERT INTO {schema}.messages (run, arrival, sent_at, id, kind, signal_key, body)
      SELECT m.run, m.arrival, m.sent_at, m.id, 'signal', m.key, json_build_object('payload', m.payload)::text FROM moved m
      ON CONFLICT DO NOTHING;
  END IF;
  RETURN QUERY
    -- From the messages on: there may be very many runs.
    SELECT (SELECT r.id FROM {schema}.runs r WHERE r.number = m.run), m.id, m.sent_at, m.kind, m.signal_key, m.body
      FROM {schema}.messages m
      WHERE (SELECT r.owner FROM {schema}.runs r WHERE r.number = m.run) = p_engine ORDER BY m.arrival;
END $$;

CREATE FUNCTION {schema}.fire_v1(
  p_schedule text, p_expected bigint, p_next bigint, p_run text, p_owners text[]
) RETURNS boolean LANGUAGE plpgsql ${SETTINGS} AS $$
BEGIN
  PERFORM {schema}.check_isolation_v1();
  UPDATE {schema}.schedules SET last_at = p_expected, next_at = p_next WHERE id = p_schedule AND next_at = p_expected;
  IF NOT FOUND THEN RETURN false; END IF;
  IF p_run IS NOT NULL THEN PERFORM {schema}.create_runs_v1(p_run, p_owners); END IF;
  RETURN true;
END $$;

CREATE FUNCTION {schema}.delete_runs_v1(p_runs bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM {schema}.ended e USING {schema}.runs r
    WHERE r.number = ANY (p_runs) AND e.outcome = r.outcome AND e.created_at = r.created_at AND e.run = r.number;
  DELETE FROM {schema}.tags t USING (
      SELECT r.number, r.created_at, unnest(r.tags) AS tag FROM {schema}.runs r WHERE r.number = ANY (p_runs)
    ) r WHERE t.tag = r.tag AND t.created_at = r.created_at AND t.run = r.number;
${["tasks", "attempts", "logs", "metrics", "artifacts", "assets", "steps", "messages"]
  .map((table) => `  DELETE FROM {schema}.${table} WHERE run = ANY (p_runs);`)
  .join("\n")}
  DELETE FROM {schema}.runs WHERE number = ANY (p_runs);
END $$;

CREATE FUNCTION {schema}.delete_run_v1(p_run text) RETURNS text LANGUAGE plpgsql ${SETTINGS} AS $$
DECLARE
  v_run {schema}.runs;
BEGIN
  PERFORM {schema}.check_isolation_v1();
  SELECT * INTO v_run FROM {schema}.runs WHERE id = p_run FOR UPDATE;
  IF NOT FOUND THEN RETURN 'unknown'; END IF;
  IF v_run.outcome IS NULL THEN RETURN 'active'; END IF;
  PERFORM {schema}.delete_runs_v1(ARRAY[v_run.number]);
  RETURN 'deleted';
END $$;

-- Children before their parents, so that no run is ever left without the one that started it.
CREATE FUNCTION {schema}.prune_v1(p_before bigint, p_limit integer) RETURNS integer LANGUAGE plpgsql ${SETTINGS} AS $$
DECLARE
  v_runs bigint[];
  v_count integer := 0;
BEGIN
  PERFORM {schema}.check_isolation_v1();
  DELETE FROM {schema}.cache WHERE expires_at < p_before;
  DELETE FROM {schema}.signals WHERE sent_at < p_before;
  DELETE FROM {schema}.flushes f WHERE NOT EXISTS (SELECT 1 FROM {schema}.engines e WHERE e.id = f.engine);
  WHILE v_count < p_limit LOOP
    v_runs := ARRAY(
      SELECT r.number FROM {schema}.runs r
        WHERE r.number IN (
            SELECT x.run FROM unnest(ARRAY['succeeded', 'failed', 'cancelled', 'quarantined']) o CROSS JOIN LATERAL (
              SELECT e.run, e.finished_at FROM {schema}.ended e
                WHERE e.outcome = o AND e.finished_at < p_before
                  AND NOT EXISTS (
                    SELECT 1 FROM {schema}.runs r
                      WHERE r.number = e.run AND (
                        EXISTS (SELECT 1 FROM {schema}.runs p WHERE p.id = r.parent_run AND p.outcome IS NULL)
                        OR EXISTS (SELECT 1 FROM {schema}.runs c WHERE c.parent_run = r.id)
                      )
                  )
                ORDER BY e.created_at, e.run LIMIT p_limit - v_count
            ) x ORDER BY x.finished_at LIMIT p_limit - v_count
          ) AND r.outcome IS NOT NULL
        FOR UPDATE OF r SKIP LOCKED
    );
    EXIT WHEN cardinality(v_runs) = 0;
    PERFORM {schema}.delete_runs_v1(v_runs);
    v_count := v_count + cardinality(v_runs);
  END LOOP;
  RETURN v_count;
END $$;

-- How many rows a page takes. As a function that parallel plans may not call: for some rows that an index gives in order,
-- workers are nothing but a delay.
CREATE FUNCTION {schema}.page_v1(p_rows integer) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL UNSAFE AS $$
  SELECT p_rows
$$;

-- Tasks of several runs, one run after the other: no more of them are read than fit the page.
CREATE FUNCTION {schema}.load_tasks_v1(p_runs text[], p_position integer, p_path text, p_limit integer)
RETURNS TABLE (place integer, record {schema}.tasks) LANGUAGE plpgsql STABLE ${SETTINGS} AS $$
#variable_conflict use_column
DECLARE
  v_found integer := 0;
  v_count integer;
BEGIN
  FOR i IN 1 .. cardinality(p_runs) LOOP
    RETURN QUERY
      SELECT i, t FROM {schema}.tasks t
        WHERE t.run = (SELECT r.number FROM {schema}.runs r WHERE r.id = p_runs[i])
          AND (t.position, t.path) > (CASE WHEN i = 1 THEN p_position ELSE -1 END, CASE WHEN i = 1 THEN p_path ELSE '' END)
          AND ${CURRENT}
        ORDER BY t.position, t.path LIMIT p_limit - v_found;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_found := v_found + v_count;
    EXIT WHEN v_found >= p_limit;
  END LOOP;
END $$;
`;
