/** The form in which proxies are asked: with the scheme and the host. */
const ORIGIN = /^https?:\/\/[^/?#]*/i;

/**
 * Returns the target of a request as routes are matched: a path and a query, without scheme and
 * host and without slashes at the end of the path.
 */
export function plainTarget(target: string): string {
  const local = target.replace(ORIGIN, '');
  const query = local.indexOf('?');
  const pathEnd = query === -1 ? local.length : query;
  let end = pathEnd;
  while (end > 1 && local[end - 1] === '/') end--;
  const path = local.slice(0, end);
  return (path === '' ? '/' : path) + local.slice(pathEnd);
}

/** Returns the path of a target. */
export function pathOf(target: string): string {
  const end = target.indexOf('?');
  return end === -1 ? target : target.slice(0, end);
}
