/** Most characters of a text that are looked at. */
const MAX_TEXT_CHARS = 4096;

/**
 * Tells whether a whole text is like a pattern, in which `*` stands for any text; case, width of
 * characters and spaces around do not count. No pattern takes more than one pass over the text,
 * because clients write it: a regular expression could be made to take for ever.
 */
export function isLike(text: string, pattern: string): boolean {
  const [first = '', ...rest] = normal(pattern).split('*');
  const whole = normal(text.slice(0, MAX_TEXT_CHARS));
  const last = rest.pop();
  if (last === undefined) return whole === first;
  if (!whole.startsWith(first)) return false;
  let at = first.length;
  for (const piece of rest) {
    const found = whole.indexOf(piece, at);
    if (found === -1) return false;
    at = found + piece.length;
  }
  return whole.length - last.length >= at && whole.endsWith(last);
}

function normal(text: string): string {
  return text.normalize('NFKC').toLowerCase().trim();
}
