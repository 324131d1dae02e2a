import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { MeshError } from '#mesh/errors.ts';

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = [Address, number];

/** Most characters of the headers of proxies that are read, from the end. */
const MAX_HEADER_CHARS = 2048;
/** Bits of an IPv6 address that name a network; the rest a client chooses as it likes. */
const NETWORK_WORDS = 4;

/** Finds the address of the client of a request, behind proxies that are trusted to name it. */
export class ClientAddresses {
  readonly #trusted: readonly Range[];
  /** Networks of connections that carry the requests of one client. */
  readonly #networks = new WeakMap<IncomingMessage['socket'], string>();

  /** `trustedProxies` are addresses or networks: `10.0.0.0/8`, `::1`. */
  constructor(trustedProxies: readonly string[]) {
    this.#trusted = trustedProxies.map(rangeOf);
  }

  /** Tells whether connections from an address carry the requests of many clients. */
  isTrusted(address: string | undefined): boolean {
    const parsed = parse(address);
    return parsed !== undefined && this.#isTrusted(parsed);
  }

  /**
   * Returns the network of a request's client. The headers of proxies are read from the end, where
   * the nearest proxy has written, up to the first address that is no trusted proxy's: what stands
   * before it is the client's own invention.
   */
  networkOf({ socket, headers }: Pick<IncomingMessage, 'headers' | 'socket'>): string {
    const known = this.#networks.get(socket);
    if (known !== undefined) return known;
    let nearest = parse(socket.remoteAddress);
    if (nearest === undefined) return 'unknown';
    if (!this.#isTrusted(nearest)) {
      const name = networkName(nearest);
      this.#networks.set(socket, name);
      return name;
    }
    for (const hop of hopsOf(headers).reverse()) {
      if (!this.#isTrusted(nearest)) break;
      const before = parse(hop);
      if (before === undefined) break;
      nearest = before;
    }
    return networkName(nearest);
  }

  #isTrusted(address: Address): boolean {
    return this.#trusted.some(
      (range) => range[0].kind() === address.kind() && address.match(range),
    );
  }
}

/** Returns the name of the network of an address: an IPv4 address, or the /64 of an IPv6 one. */
export function networkOf(address: string | undefined): string {
  const parsed = parse(address);
  return parsed === undefined ? 'unknown' : networkName(parsed);
}

function networkName(address: Address): string {
  if (!(address instanceof ipaddr.IPv6)) return address.toString();
  const words = address.parts.map((word, index) => (index < NETWORK_WORDS ? word : 0));
  return `${new ipaddr.IPv6(words).toString()}/64`;
}

/** Reads an address as proxies write it: with a port, in brackets, or IPv4 within IPv6. */
function parse(text: string | undefined): Address | undefined {
  const [, inBrackets, ipv4] =
    /^(?:\[([^\]]*)\](?::\d+)?|([\d.]+):\d+)$/.exec(text?.trim() ?? '') ?? [];
  const address = inBrackets ?? ipv4 ?? text?.trim() ?? '';
  return isIP(address) === 0 ? undefined : ipaddr.process(address);
}

function hopsOf(headers: IncomingMessage['headers']): string[] {
  const { 'x-forwarded-for': list } = headers;
  // A proxy that writes this header may hand on the other one as the client sent it.
  if (list !== undefined) return String(list).slice(-MAX_HEADER_CHARS).split(',');
  const elements = (headers.forwarded ?? '').slice(-MAX_HEADER_CHARS).split(',');
  const hops = elements.map((element) => /(?:^|;)\s*for="?([^";]*)"?/i.exec(element)?.[1] ?? '');
  return headers.forwarded === undefined ? [] : hops;
}

function rangeOf(text: string): Range {
  try {
    if (text.includes('/')) return ipaddr.parseCIDR(text);
    const address = ipaddr.parse(text);
    return [address, address.kind() === 'ipv4' ? 32 : 128];
  } catch (cause: unknown) {
    const message = `key "trusted-proxies": ${text} is neither an address nor a network like 10.0.0.0/8`;
    throw new MeshError('INVALID_REQUEST', message, { param: 'trusted-proxies', cause });
  }
}
