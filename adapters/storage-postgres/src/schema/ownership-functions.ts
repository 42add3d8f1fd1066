/** Leases and claims, version 1. `SETTINGS`, here and elsewhere: see `settings.ts`. */
import { SETTINGS } from "./settings.js";

export const OWNERSHIP_FUNCTIONS = `
-- Every transaction in here needs a fresh look at the data after each wait for a lock.
CREATE FUNCTION {schema}.check_isolation_v1() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'weftline needs READ COMMITTED' USING ERRCODE = 'WL002';
  END IF;
END $$;

CREATE FUNCTION {schema}.now_v1() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint
$$;

-- Forgets an engine, whose row is locked, and gives its runs back.
CREATE FUNCTION {schema}.end_engine_v1(p_engine text, p_crashed boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_runs bigint[];
BEGIN
  DELETE FROM {schema}.engines WHERE id = p_engine;
  DELETE FROM {schema}.flushes WHERE engine = p_engine;
  WITH gone AS (DELETE FROM {schema}.owned WHERE owner = p_engine RETURNING run)
    SELECT array_agg(run ORDER BY run) INTO v_runs FROM gone;
  IF v_runs IS NULL THEN RETURN; END IF;
  -- In order, so that two that lock many runs never wait for each other.
  PERFORM 1 FROM {schema}.runs WHERE number = ANY (v_runs) ORDER BY number FOR NO KEY UPDATE;
  WITH freed AS (
    UPDATE {schema}.runs
      SET owner = NULL, crashes = crashes + CASE WHEN p_crashed AND status = 'running' THEN 1 ELSE 0 END
      WHERE number = ANY (v_runs)
      RETURNING number, created_at, available_at, priority, crashes, status, definition, pipeline
  )
  INSERT INTO {schema}.free (run, created_at, available_at, priority, crashes, begun, delayed, definition, pipeline)
    SELECT number, created_at, available_at, priority, crashes, status <> 'queued', available_at > created_at,
        definition, pipeline
      FROM freed;
END $$;

CREATE FUNCTION {schema}.renew_lease_v1(
  p_engine text, p_lease_ms double precision, p_is_new boolean, p_definitions text[],
  OUT store_now bigint, OUT lost boolean
) LANGUAGE plpgsql ${SETTINGS} AS $$
DECLARE
  v_until timestamptz;
BEGIN
  -- The usual case, in one statement.
  UPDATE {schema}.engines
    SET lease_until = clock_timestamp() + p_lease_ms * interval '1 millisecond'
    WHERE id = p_engine AND lease_until > clock_timestamp() AND definitions = p_definitions;
  IF FOUND AND NOT p_is_new THEN
    store_now := {schema}.now_v1();
    lost := false;
    RETURN;
  END IF;
  PERFORM {schema}.check_isolation_v1();
  SELECT lease_until INTO v_until FROM {schema}.engines WHERE id = p_engine FOR UPDATE;
  lost := CASE WHEN FOUND THEN v_until <= clock_timestamp() ELSE NOT p_is_new END;
  IF lost AND FOUND THEN
    PERFORM {schema}.end_engine_v1(p_engine, true);
  ELSIF p_is_new THEN
    DELETE FROM {schema}.flushes WHERE engine = p_engine;
  END IF;
  INSERT INTO {schema}.engines AS e (id, lease_until, definitions)
    VALUES (p_engine, clock_timestamp() + p_lease_ms * interval '1 millisecond', p_definitions)
    ON CONFLICT (id) DO UPDATE SET lease_until = EXCLUDED.lease_until, definitions = EXCLUDED.definitions;
  store_now := {schema}.now_v1();
END $$;

CREATE FUNCTION {schema}.release_lease_v1(p_engine text) RETURNS void LANGUAGE plpgsql ${SETTINGS} AS $$
BEGIN
  PERFORM {schema}.check_isolation_v1();
  PERFORM 1 FROM {schema}.engines WHERE id = p_engine FOR UPDATE;
  PERFORM {schema}.end_engine_v1(p_engine, false);
END $$;

-- Runs to take of what is free, each under a lock: a lane is what is free of one definition, pipeline and number of
-- crashes, in order, so that nothing that may not be taken is ever looked at.
CREATE FUNCTION {schema}.lock_free_v1(
  p_definitions text[], p_limited text[], p_max integer[], p_limit integer,
  p_suspect_from integer, p_suspects integer, p_now bigint
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
  v_lane record;
  v_lanes jsonb;
  v_rooms jsonb := '{}';
  v_locked bigint[] := '{}';
  v_chosen bigint[];
  v_tried bigint[];
  v_got bigint[];
  v_left integer;
BEGIN
  -- Some whose time has come join the others.
  UPDATE {schema}.free SET delayed = false WHERE run IN (
    SELECT x.run FROM unnest(p_definitions) d CROSS JOIN LATERAL (
      SELECT f.run FROM {schema}.free f
        WHERE f.definition = d AND f.delayed AND f.available_at <= p_now
        ORDER BY f.available_at LIMIT 10000 FOR UPDATE SKIP LOCKED
    ) x
  );
  WITH RECURSIVE lanes AS (
    SELECT d AS definition, x.pipeline, x.crashes
      FROM (SELECT DISTINCT unnest(p_definitions) AS d) q CROSS JOIN LATERAL (
        SELECT f.pipeline, f.crashes FROM {schema}.free f
          WHERE f.definition = d AND NOT f.delayed ORDER BY f.pipeline, f.crashes LIMIT 1
      ) x
    UNION ALL
    SELECT l.definition, x.pipeline, x.crashes
      FROM lanes l CROSS JOIN LATERAL (
        SELECT f.pipeline, f.crashes FROM {schema}.free f
          WHERE f.definition = l.definition AND (f.pipeline, f.crashes) > (l.pipeline, l.crashes) AND NOT f.delayed
          ORDER BY f.pipeline, f.crashes LIMIT 1
      ) x
  )
  SELECT jsonb_agg(jsonb_build_array(definition, pipeline, crashes)) INTO v_lanes FROM lanes;
  IF v_lanes IS NULL THEN RETURN v_locked; END IF;

  -- Whoever counts the active runs of a pipeline has to be alone in changing their number.
  FOR v_lane IN
    SELECT DISTINCT x.pipeline, x.max FROM unnest(p_limited, p_max) x(pipeline, max)
      WHERE x.pipeline IN (SELECT l ->> 1 FROM jsonb_array_elements(v_lanes) l) ORDER BY x.pipeline
  LOOP
    PERFORM pg_advisory_xact_lock(hashtextextended({schema:claims} || v_lane.pipeline, 0));
    v_rooms := v_rooms || jsonb_build_object(v_lane.pipeline, v_lane.max - (
      SELECT count(*) FROM {schema}.engines e JOIN {schema}.owned o ON o.owner = e.id AND o.pipeline = v_lane.pipeline
    ));
  END LOOP;

  FOR v_lane IN
    WITH lanes AS (
      SELECT l ->> 0 AS definition, l ->> 1 AS pipeline, (l ->> 2)::integer AS crashes,
          coalesce((v_rooms ->> (l ->> 1))::bigint, p_limit) AS room
        FROM jsonb_array_elements(v_lanes) l
    ), candidates AS (
      SELECT l.definition, l.pipeline, l.crashes, l.room, x.run, x.begun, x.priority, x.created_at
        FROM lanes l CROSS JOIN LATERAL (
          SELECT f.run, f.begun, f.priority, f.created_at FROM {schema}.free f
            WHERE f.definition = l.definition AND f.pipeline = l.pipeline AND f.crashes = l.crashes
              AND NOT f.delayed AND f.available_at <= p_now
            ORDER BY f.begun DESC, f.priority DESC, f.created_at, f.run LIMIT least(p_limit, l.room)
        ) x
        WHERE l.room > 0
    ), unsuspicious AS (
      SELECT c.* FROM candidates c WHERE c.crashes < p_suspect_from
      UNION ALL
      (SELECT c.* FROM candidates c WHERE c.crashes >= p_suspect_from
        ORDER BY c.crashes, c.begun DESC, c.priority DESC, c.created_at, c.run LIMIT p_suspects)
    ), ranked AS (
      SELECT c.*, row_number() OVER (PARTITION BY c.pipeline ORDER BY c.begun DESC, c.priority DESC, c.created_at, c.run) AS place
        FROM unsuspicious c
    ), chosen AS (
      SELECT c.* FROM ranked c WHERE c.place <= c.room ORDER BY c.begun DESC, c.priority DESC, c.created_at, c.run LIMIT p_limit
    )
    SELECT c.definition, c.pipeline, c.crashes,
        array_agg(c.run ORDER BY c.begun DESC, c.priority DESC, c.created_at, c.run) AS runs
      FROM chosen c GROUP BY 1, 2, 3
  LOOP
    -- Where others have just locked some of these, those behind them do as well.
    v_chosen := v_lane.runs;
    v_tried := '{}';
    LOOP
      v_got := ARRAY(
        SELECT r.number FROM {schema}.runs r
          WHERE r.number = ANY (v_chosen) AND r.owner IS NULL AND r.outcome IS NULL FOR NO KEY UPDATE SKIP LOCKED
      );
      v_locked := v_locked || v_got;
      v_tried := v_tried || v_chosen;
      v_left := cardinality(v_chosen) - cardinality(v_got);
      EXIT WHEN v_left = 0;
      v_chosen := ARRAY(
        SELECT f.run FROM {schema}.free f
          WHERE f.definition = v_lane.definition AND f.pipeline = v_lane.pipeline AND f.crashes = v_lane.crashes
            AND NOT f.delayed AND f.available_at <= p_now AND f.run <> ALL (v_tried)
          ORDER BY f.begun DESC, f.priority DESC, f.created_at, f.run LIMIT v_left
      );
      EXIT WHEN cardinality(v_chosen) = 0;
    END LOOP;
  END LOOP;
  RETURN v_locked;
END $$;

-- Takes runs. One row without an id: the engine has no lease.
CREATE FUNCTION {schema}.claim_runs_v1(
  p_engine text, p_definitions text[], p_limited text[], p_max integer[], p_limit integer,
  p_suspect_from integer, p_suspects integer, p_run text, p_now bigint
) RETURNS SETOF {schema}.runs LANGUAGE plpgsql ${SETTINGS} AS $$
DECLARE
  v_engine text;
  v_locked bigint[];
BEGIN
  PERFORM {schema}.check_isolation_v1();
  FOR v_engine IN
    SELECT id FROM {schema}.engines WHERE lease_until <= clock_timestamp() ORDER BY id FOR UPDATE SKIP LOCKED
  LOOP
    PERFORM {schema}.end_engine_v1(v_engine, true);
  END LOOP;
  PERFORM 1 FROM {schema}.engines WHERE id = p_engine FOR KEY SHARE;
  IF NOT FOUND THEN
    RETURN NEXT NULL::{schema}.runs;
    RETURN;
  END IF;
  IF p_run IS NOT NULL THEN
    v_locked := ARRAY(
      SELECT number FROM {schema}.runs
        WHERE id = p_run AND owner IS NULL AND outcome IS NULL AND (crashes < p_suspect_from OR p_suspects > 0)
        FOR NO KEY UPDATE SKIP LOCKED
    );
  ELSE
    v_locked := {schema}.lock_free_v1(p_definitions, p_limited, p_max, p_limit, p_suspect_from, p_suspects, p_now);
  END IF;
  IF cardinality(v_locked) = 0 THEN RETURN; END IF;
  DELETE FROM {schema}.free WHERE run = ANY (v_locked);
  INSERT INTO {schema}.owned (owner, pipeline, run, created_at)
    SELECT p_engine, pipeline, number, created_at FROM {schema}.runs WHERE number = ANY (v_locked);
  RETURN QUERY
    WITH taken AS (
      UPDATE {schema}.runs SET owner = p_engine, epoch = epoch + 1 WHERE number = ANY (v_locked) RETURNING *
    )
    SELECT * FROM taken ORDER BY status <> 'queued' DESC, priority DESC, created_at, number;
END $$;

-- Each part is written as a question about the fewest rows first, so that no plan can begin at the other end.
CREATE FUNCTION {schema}.look_v1(
  p_engine text, p_definitions text[], p_now bigint,
  OUT store_now bigint, OUT claimable boolean, OUT messages boolean, OUT next_wake bigint
) LANGUAGE plpgsql STABLE ${SETTINGS} AS $$
BEGIN
  store_now := {schema}.now_v1();
  claimable := EXISTS (SELECT 1 FROM {schema}.engines WHERE lease_until <= clock_timestamp())
    OR EXISTS (
      SELECT 1 FROM unnest(p_definitions) d WHERE (
        SELECT true FROM {schema}.free f
          WHERE f.definition = d AND NOT f.delayed AND f.available_at <= p_now LIMIT 1
      ) OR (
        SELECT true FROM {schema}.free f
          WHERE f.definition = d AND f.delayed AND f.available_at <= p_now LIMIT 1
      )
    );
  messages := EXISTS (
      SELECT 1 FROM {schema}.messages m WHERE (SELECT r.owner FROM {schema}.runs r WHERE r.number = m.run) = p_engine
    ) OR EXISTS (
      SELECT 1 FROM {schema}.signals s WHERE (
        SELECT true FROM {schema}.tasks t
          WHERE t.wait_key = s.key AND (SELECT r.owner FROM {schema}.runs r WHERE r.number = t.run) = p_engine LIMIT 1
      )
    );
  SELECT least(
    (SELECT min(x.available_at) FROM unnest(p_definitions) d CROSS JOIN LATERAL (
      SELECT f.available_at FROM {schema}.free f
        WHERE f.definition = d AND f.delayed AND f.available_at > p_now
        ORDER BY f.available_at LIMIT 1
    ) x),
    -- Leases are the database's time; the answer is the engine's.
    (SELECT p_now + ceil(extract(epoch FROM min(e.lease_until) - clock_timestamp()) * 1000)::bigint
      FROM {schema}.engines e
      WHERE e.lease_until > clock_timestamp() AND (SELECT true FROM {schema}.owned o WHERE o.owner = e.id LIMIT 1))
  ) INTO next_wake;
END $$;
`;
