/** Most characters of a client's own text in a message. */
const MAX_QUOTED_CHARS = 200;

const CONTROL_CHARS = /[\p{Cc}\u2028\u2029]/gu;

/** What a client wrote, fit for a message: in quotes, cut, control characters escaped. */
export function quoted(text: string): string {
  return `"${excerpt(text)}"`;
}

/** As `quoted`, for text that is more than a name and shows where it ends. */
export function excerpt(text: string): string {
  return cut(text, MAX_QUOTED_CHARS).replaceAll(CONTROL_CHARS, escaped);
}

/** The text, or as much of it as fits `maxChars` UTF-16 units with "…" at its end; no half characters. */
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
