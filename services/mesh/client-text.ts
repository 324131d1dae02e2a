/** Most characters of a client's text that a message repeats. */
const MAX_QUOTED_CHARS = 200;

const CONTROL_CHARS = /[\p{Cc}\u2028\u2029]/gu;

/** Returns a client's text for a message: in quotes, cut, with control characters escaped. */
export function quoted(text: string): string {
  return `"${excerpt(text)}"`;
}

/** Returns the same without quotes, for text longer than a name, whose end is evident. */
export function excerpt(text: string): string {
  return cut(text, MAX_QUOTED_CHARS).replaceAll(CONTROL_CHARS, escaped);
}

/**
 * Cuts a text to `maxChars` UTF-16 units, with "…" at the end if it was longer; halves no
 * character.
 */
export function cut(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text;
  const end = maxChars - 1;
  const last = text.charCodeAt(end - 1);
  const isHighSurrogate = last >= 0xd800 && last <= 0xdbff;
  return `${text.slice(0, isHighSurrogate ? end - 1 : end)}…`;
}

function escaped(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
