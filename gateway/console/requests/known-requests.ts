import type { RequestView } from '#mesh/trace/request-view.ts';

/** Most requests that the page holds. */
const MAX_KNOWN = 2000;

/**
 * Returns the known requests with new ones, newest first; of one that is in both, the new counts.
 * `asked` are known ones that the server was asked for: those that are not among the news are
 * forgotten there, and here too.
 */
export function mergeRequests(
  known: readonly RequestView[],
  news: readonly RequestView[],
  asked: readonly RequestView[] = [],
): readonly RequestView[] {
  const merged = new Map(known.map((one) => [keyOf(one), one]));
  for (const one of asked) merged.delete(keyOf(one));
  for (const one of news) merged.set(keyOf(one), one);
  return [...merged.values()].sort((a, b) => b.started_ms - a.started_ms).slice(0, MAX_KNOWN);
}

/** Returns the known requests that ran and of which the news say nothing: they may have ended. */
export function unheardOf(
  known: readonly RequestView[],
  news: readonly RequestView[],
): readonly RequestView[] {
  const heard = new Set(news.map(keyOf));
  return known.filter((one) => one.duration_ms === null && !heard.has(keyOf(one)));
}

/**
 * Tells whether requests may lie between the known ones and a short list of the newest: then the
 * long list is to be asked for.
 */
export function hasGap(
  known: readonly RequestView[],
  news: readonly RequestView[],
  limit: number,
): boolean {
  const [newest] = known;
  const oldestNew = news.at(-1);
  if (news.length < limit || oldestNew === undefined) return false;
  return newest === undefined || oldestNew.started_ms > newest.started_ms;
}

/** An id may be used again by a client, but not at the same time. */
function keyOf({ id, started_ms }: RequestView): string {
  return `${started_ms} ${id}`;
}
