import { isIPv6 } from 'node:net';
import { quoted } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';

/**
 * Reads `allowed-media-domains`: hosts as `URL.hostname` writes them, so in lower case, in Punycode
 * and without a last dot; "*." before one stands for all names below it. An entry that could match
 * no host is refused.
 */
export function parseAllowedDomains(entries: readonly string[]): readonly string[] {
  return entries.map((entry) => {
    const text = entry.trim();
    const [wildcard, name] = text.startsWith('*.') ? ['*.', text.slice(2)] : ['', text];
    const host = hostOf(name);
    if (host === undefined || (wildcard !== '' && isAddress(host))) throw noDomain(entry);
    return wildcard + host;
  });
}

function hostOf(name: string): string | undefined {
  const literal = isIPv6(name) ? `[${name}]` : name;
  // A host alone: no scheme, user name, port, path or another wildcard.
  if (!/^(?:\[[^\]]*\]|[^\s:/\\?#@*[\]]+)$/.test(literal)) return undefined;
  const bare = literal.replace(/\.$/, '');
  const url = `http://${bare}/`;
  if (bare === '' || bare.startsWith('.') || bare.endsWith('.') || !URL.canParse(url)) {
    return undefined;
  }
  return new URL(url).hostname;
}

function isAddress(host: string): boolean {
  return host.startsWith('[') || /^[\d.]+$/.test(host);
}

function noDomain(entry: string): MeshError {
  const param = 'allowed-media-domains';
  const message = `key "${param}": ${quoted(entry)} is not a host; write cdn.example.com, without scheme and port, or *.example.com for all below`;
  return new MeshError('INVALID_REQUEST', message, { param });
}
