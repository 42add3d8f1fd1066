import { statfs } from "node:fs/promises";
import { tmpdir } from "node:os";

const TMPFS = 0x01021994;

/** Where the measured data is kept. Where that is no disk the figures mean something else, so it is said. */
export async function describeDisk(): Promise<string> {
  const { type } = await statfs(tmpdir());
  return type === TMPFS ? ", in memory (tmpfs), where fsync costs nothing" : "";
}
