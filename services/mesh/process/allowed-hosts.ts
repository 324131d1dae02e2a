import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { excerpt } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';

/** Longest name in DNS, and a port. */
const MAX_AUTHORITY_CHARS = 262;

/**
 * Refuses requests that a browser was led to send here. A page may let its own name point to this
 * server's address (DNS rebinding); then the browser takes both for one origin, but still sends
 * the page's name as the host. An address or a local name cannot be rebound.
 */
export class AllowedHosts {
  readonly #names: ReadonlySet<string>;
  readonly #endings: readonly string[];
  readonly #isAny: boolean;

  /** `names` may begin with `*.` for all names below one; `*` allows every name. */
  constructor(names: readonly string[]) {
    const plain = names.map((name) => withoutDot(name.toLowerCase()));
    this.#isAny = plain.includes('*');
    this.#names = new Set(plain.filter((name) => !name.startsWith('*')));
    this.#endings = plain.filter((name) => name.startsWith('*.')).map((name) => name.slice(1));
  }

  /** Throws HOST_NOT_ALLOWED if a request names a host that is not this server. */
  check(authority: string): void {
    const name = hostName(authority);
    if (this.#isAny || (name !== undefined && this.#isAllowed(name))) return;
    const message = `the host "${excerpt(authority)}" is not one of this server; add it to the key "allowed-hosts", or set an API key`;
    throw new MeshError('HOST_NOT_ALLOWED', message);
  }

  #isAllowed(name: string): boolean {
    if (isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost')) return true;
    return this.#names.has(name) || this.#endings.some((ending) => name.endsWith(ending));
  }
}

/**
 * Returns the hosts that a request names, in its target and its header. More than one header is
 * refused, because a proxy in front may have read another one; none is HTTP/1.0.
 */
export function namedHosts(
  target: string,
  { rawHeaders, httpVersion }: Pick<IncomingMessage, 'rawHeaders' | 'httpVersion'>,
): string[] {
  const headers = rawHeaders.filter(
    (_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === 'host',
  );
  if (headers.length > 1) {
    throw new MeshError('INVALID_REQUEST', 'the request has more than one Host header');
  }
  if (headers.length === 0 && httpVersion !== '1.0') {
    throw new MeshError('INVALID_REQUEST', 'the request has no Host header');
  }
  const authority = /^https?:\/\/([^/?#]*)/i.exec(target)?.[1];
  return authority === undefined ? headers : [authority, ...headers];
}

/** Returns the name or address before the port, in lower case; undefined if it is malformed. */
function hostName(authority: string): string | undefined {
  if (authority.length > MAX_AUTHORITY_CHARS) return undefined;
  const [, ipv6, name] = /^(?:\[([^\]]+)\]|([^:@[\]\s]+))(?::\d{0,5})?$/.exec(authority) ?? [];
  return ipv6 ?? (name === undefined ? undefined : withoutDot(name.toLowerCase()));
}

function withoutDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name;
}
