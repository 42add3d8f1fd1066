/**
 * What functions that are called from outside run under, whatever the database's own settings are. Functions that these
 * call run under it too.
 *
 * - All that is read is found row by row through an index. A plan that was made while a table was small must not stay a
 *   scan of it, or a join that reads the whole of an index.
 * - Plans are made once: those for given arrays would be made anew each time, and cost more than they save.
 * - What such plans are said to cost has nothing to do with their work; compiling one takes longer than a hundred calls.
 * - A lock that is not given within this time is somebody's forgotten transaction; the caller tries again later.
 */
export const SETTINGS = [
  "SET enable_seqscan TO off SET enable_mergejoin TO off SET enable_hashjoin TO off",
  "SET plan_cache_mode TO force_generic_plan SET jit TO off SET lock_timeout TO '20s'",
].join("\n");

/** The same, for those that also compare two lists which may both be long. */
export const SETTINGS_FOR_LISTS = SETTINGS.replace(" SET enable_hashjoin TO off", "");
