/** Fewest characters of a name that is suggested: shorter names are all near each other. */
const MIN_CHARS = 3;
/** Separators that a name may have more or less, which bounds the work for a long name. */
const MAX_EXTRA = 8;

/** Returns the known name that a mistyped one most likely meant; undefined if none is near. */
export function nearestName(typed: string, known: readonly string[]): string | undefined {
  const allowed = Math.max(2, Math.floor(typed.length / 3));
  return known
    .map((name) => ({ name, distance: editDistance(typed, name) }))
    .filter(({ distance }) => distance <= allowed)
    .sort((a, b) => a.distance - b.distance)[0]?.name;
}

/** Returns `; did you mean "x"?` for a message, or "". */
export function didYouMean(typed: string, known: readonly string[]): string {
  const nearest = nearestName(typed, known);
  return nearest === undefined ? '' : `; did you mean "${nearest}"?`;
}

/** Returns the Levenshtein distance of two texts. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      const replaced = (row[j] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

/**
 * Returns the known name that differs from a given one by one edit: a letter more, less, other or
 * swapped with the next, or other capitals and separators ("maxTokens"). Its time is linear in the
 * given name, which may be a client's and long.
 */
export function nearName(given: string, known: Iterable<string>): string | undefined {
  for (const name of known) {
    if (name.length < MIN_CHARS || Math.abs(name.length - given.length) > MAX_EXTRA) continue;
    if (isOneEdit(given, name) || plain(given) === plain(name)) return name;
  }
  return undefined;
}

function plain(name: string): string {
  return name.replaceAll(/[-_.\s]/g, '').toLowerCase();
}

/** Tells whether two texts differ by one insertion, deletion, replacement or swap of neighbours. */
function isOneEdit(a: string, b: string): boolean {
  if (a.length > b.length) return isOneEdit(b, a);
  if (b.length - a.length > 1) return false;
  let start = 0;
  while (start < a.length && a[start] === b[start]) start++;
  if (a.length < b.length) return a.slice(start) === b.slice(start + 1);
  if (a.slice(start + 1) === b.slice(start + 1)) return true;
  const isSwapped = a[start] === b[start + 1] && a[start + 1] === b[start];
  return isSwapped && a.slice(start + 2) === b.slice(start + 2);
}
