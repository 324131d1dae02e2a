/**
 * Where a pattern that is not empty begins for the last time in a text; -1: nowhere. Linear in both
 * lengths (Knuth, Morris and Pratt 1977, run from the end), where `lastIndexOf` may compare the whole
 * pattern anew at every place.
 */
export function lastOccurrence(text: string, pattern: string): number {
  const fromEnd = (i: number) => pattern.charCodeAt(pattern.length - 1 - i);
  /** Of the pattern's last i + 1 characters: how many are both its end and its beginning. */
  const borders = new Int32Array(pattern.length);
  const grown = (matched: number, char: number) => {
    let length = matched;
    while (length > 0 && char !== fromEnd(length)) length = borders[length - 1] ?? 0;
    return char === fromEnd(length) ? length + 1 : length;
  };
  for (let i = 1; i < pattern.length; i++) borders[i] = grown(borders[i - 1] ?? 0, fromEnd(i));
  let matched = 0;
  for (let i = text.length - 1; i >= 0; i--) {
    matched = grown(matched, text.charCodeAt(i));
    if (matched === pattern.length) return i;
  }
  return -1;
}
