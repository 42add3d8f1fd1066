/** Any value as text; never throws, as some values cannot be turned into text and what tasks do has to stay harmless. */
export function asText(value: unknown): string {
  try {
    return String(value);
  } catch {
    return `[${typeof value}]`;
  }
}
