/** The group commit and what else an owner does to its runs, version 1. */
import { SETTINGS, SETTINGS_FOR_LISTS } from "./settings.js";

const TASK_COLUMNS = `run, started_at, finished_at, wait_turn, position, generation, attempts, origin, path, task,
        status, output, wait_key, more`;
/** Of the task at place i. */
const TASK_VALUES = `v_numbers[t_run[i]], t_started_at[i], t_finished_at[i],
          CASE WHEN t_wait_key[i] IS NOT NULL THEN nextval({schema:turns}) END,
          t_position[i], coalesce(t_generation[i], 1), coalesce(t_attempts[i], 1), v_origins[t_origin[i]],
          coalesce(t_path[i], ''), t_task[i], t_status[i], t_output[i], t_wait_key[i], t_more[i]`;

const LINE_COLUMNS = "run, at, generation, attempt, task, path";

/** What all lines have in common, of the line at place i. @param kind - The letter before the names of its columns. */
function lineValues(kind: string): string {
  const columns = ["at", "generation", "attempt", "task", "path"].map((name) => `${kind}_${name}[i]`);
  const [at, generation, attempt, task, path] = columns;
  return `v_numbers[${kind}_run[i]], ${at}, coalesce(${generation}, 1), coalesce(${attempt}, 1), ${task},
          coalesce(${path}, '')`;
}

/** The places i of those records of a kind whose runs are not fenced. */
function written(kind: string): string {
  return `FROM generate_subscripts(${kind}_run, 1) i WHERE v_numbers[${kind}_run[i]] <> 0`;
}

export const COMMIT_FUNCTIONS = `
-- A task's row also stands for its first attempt (origin) while that has the same status and times. When the two part,
-- the attempt becomes a row of its own.
CREATE FUNCTION {schema}.keep_attempt_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO {schema}.attempts AS a
      (run, started_at, finished_at, position, generation, attempt, origin, path, task, status)
    VALUES (OLD.run, OLD.started_at, OLD.finished_at, OLD.position, OLD.generation, 1, OLD.origin, OLD.path, OLD.task,
      OLD.status)
    ON CONFLICT (run, position, path, generation, attempt) DO UPDATE
      SET started_at = EXCLUDED.started_at, finished_at = EXCLUDED.finished_at, origin = EXCLUDED.origin,
        task = EXCLUDED.task, status = EXCLUDED.status, error = NULL;
  RETURN NULL;
END $$;
CREATE TRIGGER keep_attempt AFTER UPDATE ON {schema}.tasks
  FOR EACH ROW WHEN (OLD.origin IS NOT NULL AND NEW.origin IS NULL) EXECUTE FUNCTION {schema}.keep_attempt_v1();

-- One flush. Columns of each kind come as arrays, absent kinds as NULL; "run" is a place in p_runs, "origin" one in
-- p_executors. Without p_flush it goes on with a flush that was begun in this transaction. Answers the fenced runs; NULL
-- before them: nothing was written now, and the answer is that of the same flush when it was.
-- Where a path, a generation or a number of attempts is NULL it is the usual one: none, 1, 1.
-- Elements are read by subscripts: here that costs nothing, as plpgsql takes arrays apart once, while unnest() puts each
-- array into a table of its own.
CREATE FUNCTION {schema}.commit_v1(
  p_engine text, p_flush text, p_number bigint, p_forget bigint, p_runs text[], p_epochs bigint[],
  p_executors text[], p_engines text[],
  s_run integer[], s_status text[], s_started_at bigint[], s_finished_at bigint[], s_deadline_at bigint[],
  s_error text[], s_generation integer[], s_params text[], s_crashes integer[],
  t_run integer[], t_started_at bigint[], t_finished_at bigint[], t_position integer[], t_generation integer[],
  t_attempts integer[], t_origin integer[], t_path text[], t_task text[], t_status text[], t_output text[],
  t_wait_key text[], t_more text[], t_may_be_there integer[],
  a_run integer[], a_started_at bigint[], a_finished_at bigint[], a_position integer[], a_generation integer[],
  a_attempt integer[], a_origin integer[], a_path text[], a_task text[], a_status text[], a_error text[],
  a_alone boolean,
  l_run integer[], l_at bigint[], l_generation integer[], l_attempt integer[], l_task text[], l_path text[],
  l_level text[], l_message text[], l_data text[],
  m_run integer[], m_at bigint[], m_generation integer[], m_attempt integer[], m_task text[], m_path text[],
  m_name text[], m_value double precision[],
  f_run integer[], f_at bigint[], f_generation integer[], f_attempt integer[], f_task text[], f_path text[],
  f_size bigint[], f_name text[], f_content_type text[], f_data bytea[],
  x_run integer[], x_at bigint[], x_generation integer[], x_attempt integer[], x_task text[], x_path text[],
  x_asset text[],
  e_run integer[], e_at bigint[], e_generation integer[], e_attempt integer[], e_task text[], e_path text[],
  e_started_at bigint[], e_step text[], e_output text[],
  c_run integer[], c_key text[], c_output text[], c_run_id text[], c_expires_at bigint[],
  i_run integer[], i_id text[]
) RETURNS text[] LANGUAGE plpgsql ${SETTINGS} AS $$
DECLARE
  v_numbers bigint[];
  v_fenced text[];
  v_origins integer[];
  v_origin integer;
  v_ended bigint[];
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN PERFORM {schema}.check_isolation_v1(); END IF;
  -- Held until the end: an engine dies before its runs are given back, so none of them can be while this goes on.
  PERFORM 1 FROM {schema}.engines WHERE id = p_engine FOR KEY SHARE;
  IF NOT FOUND THEN RETURN NULL::text || p_runs; END IF;
  IF p_flush IS NOT NULL THEN
    INSERT INTO {schema}.flushes (engine, id, number) VALUES (p_engine, p_flush, p_number) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      RETURN NULL::text || (SELECT fenced FROM {schema}.flushes WHERE engine = p_engine AND number = p_number);
    END IF;
    -- What was forgotten may come once more: there is always a later one left then.
    IF EXISTS (SELECT 1 FROM {schema}.flushes WHERE engine = p_engine AND number > p_number) THEN
      DELETE FROM {schema}.flushes WHERE engine = p_engine AND number = p_number;
      RETURN NULL::text || p_runs;
    END IF;
    IF p_forget IS NOT NULL THEN
      DELETE FROM {schema}.flushes WHERE engine = p_engine AND number <= p_forget;
    END IF;
  END IF;

  v_numbers := ARRAY(
    SELECT coalesce((
      SELECT r.number FROM {schema}.runs r WHERE r.id = p_runs[i] AND r.owner = p_engine AND r.epoch = p_epochs[i]
    ), 0) FROM generate_subscripts(p_runs, 1) i
  );
  IF 0 = ANY (v_numbers) THEN
    v_fenced := ARRAY(SELECT p_runs[i] FROM generate_subscripts(p_runs, 1) i WHERE v_numbers[i] = 0);
    IF p_flush IS NOT NULL THEN
      UPDATE {schema}.flushes SET fenced = v_fenced WHERE engine = p_engine AND number = p_number;
    END IF;
  END IF;

  FOR i IN 1 .. coalesce(cardinality(p_executors), 0) LOOP
    SELECT number INTO v_origin FROM {schema}.origins WHERE engine = p_engines[i] AND executor = p_executors[i];
    IF NOT FOUND THEN
      INSERT INTO {schema}.origins (engine, executor) VALUES (p_engines[i], p_executors[i]) ON CONFLICT DO NOTHING;
      SELECT number INTO STRICT v_origin FROM {schema}.origins WHERE engine = p_engines[i] AND executor = p_executors[i];
    END IF;
    v_origins[i] := v_origin;
  END LOOP;

  IF t_run IS NOT NULL THEN
    -- Those that cannot be there yet need not be looked for. If one is there after all, its key says so.
    INSERT INTO {schema}.tasks (${TASK_COLUMNS})
      SELECT ${TASK_VALUES}
        FROM generate_subscripts(t_run, 1) i WHERE v_numbers[t_run[i]] <> 0 AND t_may_be_there[i] IS NULL;
  END IF;
  IF t_may_be_there IS NOT NULL THEN
    INSERT INTO {schema}.tasks AS t (${TASK_COLUMNS})
      SELECT ${TASK_VALUES}
        FROM generate_subscripts(t_run, 1) i WHERE v_numbers[t_run[i]] <> 0 AND t_may_be_there[i] IS NOT NULL
      ON CONFLICT (run, position, path, generation) DO UPDATE
        SET started_at = EXCLUDED.started_at, finished_at = EXCLUDED.finished_at, attempts = EXCLUDED.attempts,
          wait_turn = CASE WHEN t.wait_key = EXCLUDED.wait_key THEN t.wait_turn ELSE EXCLUDED.wait_turn END,
          origin = EXCLUDED.origin, task = EXCLUDED.task, status = EXCLUDED.status, output = EXCLUDED.output,
          wait_key = EXCLUDED.wait_key, more = EXCLUDED.more;
  END IF;

  IF a_run IS NOT NULL THEN
    IF a_alone THEN
      -- First attempts that come without their task's record: the task's row stands for them no longer.
      UPDATE {schema}.tasks t SET origin = NULL
        FROM generate_subscripts(a_run, 1) i
        WHERE t.run = v_numbers[a_run[i]] AND t.position = a_position[i] AND t.path = coalesce(a_path[i], '')
          AND t.generation = coalesce(a_generation[i], 1) AND a_attempt[i] = 1 AND t.origin IS NOT NULL;
    END IF;
    INSERT INTO {schema}.attempts AS a (run, started_at, finished_at, position, generation, attempt, origin, path, task,
        status, error)
      SELECT v_numbers[a_run[i]], a_started_at[i], a_finished_at[i], a_position[i], coalesce(a_generation[i], 1),
          a_attempt[i], v_origins[a_origin[i]], coalesce(a_path[i], ''), a_task[i], a_status[i], a_error[i]
        ${written("a")}
      ON CONFLICT (run, position, path, generation, attempt) DO UPDATE
        SET started_at = EXCLUDED.started_at, finished_at = EXCLUDED.finished_at, origin = EXCLUDED.origin,
          task = EXCLUDED.task, status = EXCLUDED.status, error = EXCLUDED.error;
  END IF;

  IF l_run IS NOT NULL THEN
    INSERT INTO {schema}.logs (${LINE_COLUMNS}, level, message, data)
      SELECT ${lineValues("l")}, l_level[i], l_message[i], l_data[i]
        ${written("l")};
  END IF;
  IF m_run IS NOT NULL THEN
    INSERT INTO {schema}.metrics (${LINE_COLUMNS}, name, value)
      SELECT ${lineValues("m")}, m_name[i], m_value[i] ${written("m")};
  END IF;
  IF f_run IS NOT NULL THEN
    INSERT INTO {schema}.artifacts (${LINE_COLUMNS}, size, name, content_type, data)
      SELECT ${lineValues("f")}, f_size[i], f_name[i], f_content_type[i], f_data[i]
        ${written("f")};
  END IF;
  IF x_run IS NOT NULL THEN
    INSERT INTO {schema}.assets (${LINE_COLUMNS}, asset)
      SELECT ${lineValues("x")}, x_asset[i] ${written("x")};
  END IF;
  IF e_run IS NOT NULL THEN
    -- A step that is written again keeps its number, and so its place.
    INSERT INTO {schema}.steps (${LINE_COLUMNS}, started_at, step, output)
      SELECT ${lineValues("e")}, e_started_at[i], e_step[i], e_output[i]
        ${written("e")}
      ON CONFLICT (run, task, path, generation, step) DO UPDATE
        SET at = EXCLUDED.at, started_at = EXCLUDED.started_at, attempt = EXCLUDED.attempt, output = EXCLUDED.output;
  END IF;
  IF c_run IS NOT NULL THEN
    -- In order, so that two engines that keep the same keys never wait for each other.
    INSERT INTO {schema}.cache (key, output, run_id, expires_at)
      SELECT c_key[i], c_output[i], c_run_id[i], c_expires_at[i]
        ${written("c")} ORDER BY 1
      ON CONFLICT (key) DO UPDATE
        SET output = EXCLUDED.output, run_id = EXCLUDED.run_id, expires_at = EXCLUDED.expires_at;
  END IF;
  IF i_run IS NOT NULL THEN
    DELETE FROM {schema}.messages m USING generate_subscripts(i_run, 1) i
      WHERE m.run = v_numbers[i_run[i]] AND m.id = i_id[i];
  END IF;

  IF s_run IS NOT NULL THEN
    WITH changed AS (
      UPDATE {schema}.runs r
        SET status = s_status[i], outcome = n.outcome, started_at = s_started_at[i], finished_at = s_finished_at[i],
          deadline_at = s_deadline_at[i], error = s_error[i], generation = s_generation[i], crashes = s_crashes[i],
          -- Kept as it is where it is the same: large texts are then not stored anew.
          params = CASE WHEN r.params = s_params[i] THEN r.params ELSE s_params[i] END,
          owner = CASE WHEN n.outcome IS NULL THEN r.owner END
        FROM (
          SELECT i, v_numbers[s_run[i]] AS number,
              CASE WHEN s_status[i] IN ('succeeded', 'failed', 'cancelled', 'quarantined') THEN s_status[i] END AS outcome
            FROM generate_subscripts(s_run, 1) i
            -- So that two that lock many runs never wait for each other.
            ORDER BY 2
        ) n
        WHERE r.number = n.number
        RETURNING r.number, r.outcome, r.created_at, r.finished_at, r.pipeline
    ), now_ended AS (
      INSERT INTO {schema}.ended (run, outcome, created_at, finished_at, pipeline)
        SELECT number, outcome, created_at, finished_at, pipeline FROM changed WHERE outcome IS NOT NULL
        RETURNING run
    )
    SELECT array_agg(run) INTO v_ended FROM now_ended;
    IF v_ended IS NOT NULL THEN
      DELETE FROM {schema}.owned WHERE owner = p_engine AND run = ANY (v_ended);
      DELETE FROM {schema}.messages WHERE run = ANY (v_ended);
    END IF;
  END IF;
  RETURN coalesce(v_fenced, '{}');
END $$;

CREATE FUNCTION {schema}.remap_run_v1(
  p_engine text, p_run text, p_epoch bigint, p_definition text, p_from integer[], p_to integer[], p_tasks text[]
) RETURNS boolean LANGUAGE plpgsql ${SETTINGS_FOR_LISTS} AS $$
DECLARE
  v_run bigint;
  v_definition text;
  v_names text[];
BEGIN
  PERFORM {schema}.check_isolation_v1();
  PERFORM 1 FROM {schema}.engines WHERE id = p_engine FOR KEY SHARE;
  IF NOT FOUND THEN RETURN false; END IF;
  SELECT number, definition INTO v_run, v_definition FROM {schema}.runs
    WHERE id = p_run AND owner = p_engine AND epoch = p_epoch FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN false; END IF;
  IF v_definition = p_definition THEN RETURN true; END IF;
  UPDATE {schema}.runs SET definition = p_definition WHERE number = v_run;
  -- What the tasks were called: lines go by that.
  v_names := ARRAY(
    SELECT (
      SELECT x.task FROM (
        SELECT t.task FROM {schema}.tasks t WHERE t.run = v_run AND t.position = n.was
        UNION ALL
        SELECT a.task FROM {schema}.attempts a WHERE a.run = v_run AND a.position = n.was
      ) x LIMIT 1
    ) FROM unnest(p_from) WITH ORDINALITY n(was, place) ORDER BY n.place
  );
  DELETE FROM {schema}.tasks WHERE run = v_run AND position <> ALL (p_from);
  DELETE FROM {schema}.attempts WHERE run = v_run AND position <> ALL (p_from);
  -- By way of negative places, so that none is taken when two change theirs.
  UPDATE {schema}.tasks SET position = -1 - position WHERE run = v_run;
  UPDATE {schema}.attempts SET position = -1 - position WHERE run = v_run;
  UPDATE {schema}.tasks t SET position = n.place, task = n.task FROM unnest(p_from, p_to, p_tasks) n(was, place, task)
    WHERE t.run = v_run AND t.position = -1 - n.was;
  UPDATE {schema}.attempts t SET position = n.place, task = n.task FROM unnest(p_from, p_to, p_tasks) n(was, place, task)
    WHERE t.run = v_run AND t.position = -1 - n.was;
${["logs", "metrics", "artifacts", "assets"]
  .map(
    (table) => `  DELETE FROM {schema}.${table} WHERE run = v_run AND task <> ALL (array_remove(v_names, NULL));
  UPDATE {schema}.${table} t SET task = n.task FROM unnest(v_names, p_tasks) n(was, task)
    WHERE t.run = v_run AND t.task = n.was AND t.task <> n.task;`,
  )
  .join("\n")}
  DELETE FROM {schema}.steps WHERE run = v_run AND task <> ALL (array_remove(v_names, NULL));
  -- Line breaks are in no id.
  UPDATE {schema}.steps SET task = E'\\n' || task WHERE run = v_run;
  UPDATE {schema}.steps t SET task = n.task FROM unnest(v_names, p_tasks) n(was, task)
    WHERE t.run = v_run AND t.task = E'\\n' || n.was;
  RETURN true;
END $$;
`;
