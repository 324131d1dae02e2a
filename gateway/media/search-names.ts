/** Most search domains that are tried, as many as systems without a limit of their own read. */
const MAX_DOMAINS = 6;

/**
 * Returns the names to ask a name server for, in order, according to the text of /etc/resolv.conf
 * (resolv.conf(5)): a name with few dots is first looked for in the search domains.
 */
export function searchNames(text: string, hostname: string): readonly string[] {
  let domains: readonly string[] = [];
  let numDots = 1;
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    if (keyword === 'search' || keyword === 'domain') domains = values;
    if (keyword !== 'options') continue;
    const ndots = values.flatMap((value) => /^ndots:(\d{1,2})$/.exec(value)?.[1] ?? []).at(-1);
    if (ndots !== undefined) numDots = Number(ndots);
  }
  const within = domains
    .slice(0, MAX_DOMAINS)
    .map((domain) => `${hostname}.${domain.replace(/^\.+|\.+$/g, '')}`);
  const isFull = hostname.split('.').length - 1 >= numDots;
  return isFull ? [hostname, ...within] : [...within, hostname];
}
