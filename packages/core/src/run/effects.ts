/** What a change of state asks of the engine. */
export interface Effects {
  /** Instances that may start. */
  readonly ready: number[];
  /** Maps and mapped groups that may start: their lists are to be read. */
  readonly expand: number[];
  /** Groups whose tasks may start from now on. */
  readonly entered: number[];
  /** Groups all of whose tasks have ended, one of them badly: to be retried or failed. */
  readonly failedGroups: number[];
  /** Lists of which an item ended: another may be entered. */
  readonly advanced: number[];
  /**
   * Instances that finished without an attempt of their own, in order, each followed by what decided it: the upstream
   * task or the group around it, {@link BY_ITEMS} or {@link BY_STOP}.
   */
  readonly finished: number[];
  /** Running instances to abort. */
  readonly abort: number[];
}

/** A list finished with its last item, or a group with its last task. */
export const BY_ITEMS = -1;
/** Somebody stopped the task or the run. */
export const BY_STOP = -2;

export function noEffects(): Effects {
  return { ready: [], expand: [], entered: [], failedGroups: [], advanced: [], finished: [], abort: [] };
}
