/**
 * Characters no text column takes: NUL, and halves of a surrogate pair whose other half is missing.
 * With the `u` flag a complete pair is one character, so that emoji are never matched.
 */
const UNSTORABLE = /[\0\p{Surrogate}]/gu;

const isHighSurrogate = (unit: number) => unit >= 0xd800 && unit <= 0xdbff;
const isLowSurrogate = (unit: number) => unit >= 0xdc00 && unit <= 0xdfff;

/**
 * Text for people that every storage can keep: well-formed, without NUL (both become U+FFFD) and not too long.
 * A text that is cut ends in `… [N more characters]`, which counts towards `maxLength`; when not even that fits, the
 * text is cut without it. A code point is never split.
 *
 * @param maxLength - Longest result, in UTF-16 units, ≥ 0.
 */
export function boundText(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text.replace(UNSTORABLE, "\uFFFD");
  // The marker is sized for the largest number it could show, as the number depends on where the cut falls.
  const markerLength = marker(text.length).length;
  const room = maxLength > markerLength ? maxLength - markerLength : maxLength;
  const end = splitsPair(text, room) ? room - 1 : room;
  const start = text.slice(0, end).replace(UNSTORABLE, "\uFFFD");
  return room === maxLength ? start : start + marker(text.length - end);
}

function marker(hidden: number): string {
  return `… [${hidden} more characters]`;
}

function splitsPair(text: string, position: number): boolean {
  return isHighSurrogate(text.charCodeAt(position - 1)) && isLowSurrogate(text.charCodeAt(position));
}
