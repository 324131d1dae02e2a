import type { LookupAddress } from 'node:dns';
import { isIP } from 'node:net';

const LOOPBACK: readonly LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

/** Returns the addresses of a name in the text of /etc/hosts (hosts(5)), in its order. */
export function hostsFileAddresses(text: string, hostname: string): readonly LookupAddress[] {
  const wanted = hostname.toLowerCase();
  const found = text.split('\n').flatMap((line) => {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    const family = isIP(address);
    const isNamed = names.some((name) => name.toLowerCase() === wanted);
    return family !== 0 && isNamed ? [{ address, family }] : [];
  });
  // No resolver may be asked for these names (RFC 6761 §6.3).
  const isLocal = wanted === 'localhost' || wanted.endsWith('.localhost');
  return found.length === 0 && isLocal ? LOOPBACK : found;
}
