import type { WitnessLine } from "./history.js";

/**
 * Reads a witness log of JSON lines. What was torn by a kill is dropped: the last line, or one at which another writer's
 * began before it was whole.
 *
 * @throws {SyntaxError} For a line in the middle that is whole and no witness line: the log is not what it should be.
 */
export function parseWitness(text: string): readonly WitnessLine[] {
  const lines: WitnessLine[] = [];
  const all = text.split("\n");
  for (const [place, line] of all.entries()) {
    if (line === "") continue;
    const parsed = parse(line);
    if (parsed !== undefined) lines.push(parsed);
    else if (place < all.length - 1 && line.endsWith("}")) {
      throw new SyntaxError(
        `Cannot read witness line ${place + 1} as it is no JSON of a witness: ${line.slice(0, 200)}`,
      );
    }
  }
  return lines;
}

function parse(line: string): WitnessLine | undefined {
  try {
    const value = JSON.parse(line) as WitnessLine;
    return typeof value.runId === "string" && typeof value.phase === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}
