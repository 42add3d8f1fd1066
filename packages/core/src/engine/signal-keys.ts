export const MAX_SIGNAL_KEY_LENGTH = 500;

/** Whether a signal may be sent to it: a text that every store can keep. */
export function isSignalKey(key: unknown): key is string {
  if (typeof key !== "string" || key === "" || key.length > MAX_SIGNAL_KEY_LENGTH) return false;
  return !key.includes("\0") && key.isWellFormed();
}
