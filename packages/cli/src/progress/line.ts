import stringWidth from "string-width";
import { type Colors, padEnd, truncate } from "../text.js";

export type Style = "red" | "green" | "yellow" | "cyan" | "dim" | "bold";

/** A piece of a line. Its text holds no escapes: they are added last, so that widths can be measured. */
export interface Span {
  readonly text: string;
  readonly style?: Style | undefined;
}

/** One line of a terminal, cut where it would not fit, without blanks at its end. */
export function paint(spans: readonly Span[], width: number, colors: Colors): string {
  let left = width;
  let line = "";
  for (const { text, style } of withoutTrailingBlanks(spans)) {
    const fitting = truncate(text, left);
    line += style && fitting !== "" ? colors[style](fitting) : fitting;
    left -= stringWidth(fitting);
    if (fitting !== text) break;
  }
  return line;
}

function withoutTrailingBlanks(spans: readonly Span[]): readonly Span[] {
  const last = spans.findLastIndex(({ text }) => text.trim() !== "");
  return spans
    .slice(0, last + 1)
    .map((span, place) => (place === last ? { ...span, text: span.text.trimEnd() } : span));
}

/** Text in a column: padded, or cut, to `width`. */
export function cell(text: string, width: number, style?: Style): Span {
  return { text: padEnd(truncate(text, width), width), style };
}
