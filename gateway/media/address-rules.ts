import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Tells whether a media fetch may connect to an address. */
export type AddressRule = (address: string) => boolean;

/** All unicast space that IANA has assigned to the public internet (RFC 4291 §2.4). */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');

/** NAT64's well-known prefix; in other prefixes the embedded address has no fixed place. */
const NAT64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96');

/** Cloud control planes at publicly routable addresses: Azure's host agent. */
const CONTROL_PLANES: ReadonlySet<string> = new Set(['168.63.129.16']);

/** Allows every address, for intranets, where media have private addresses. */
export const isAnyAddress: AddressRule = () => true;

/**
 * Allows a unicast address of the public internet. An address that tunnels or translates to IPv4 is
 * judged by the IPv4 address it carries.
 */
export const isPublicAddress: AddressRule = (address) => {
  switch (isIP(address)) {
    case 4:
      return isPublicIpv4(ipaddr.IPv4.parse(address));
    case 6:
      return isPublicIpv6(ipaddr.IPv6.parse(address));
    default:
      return false;
  }
};

function isPublicIpv4(address: ipaddr.IPv4): boolean {
  return address.range() === 'unicast' && !CONTROL_PLANES.has(address.toString());
}

function isPublicIpv6(address: ipaddr.IPv6): boolean {
  if (address.zoneId !== undefined) return false;
  const carried = carriedIpv4(address);
  if (carried.length > 0) return carried.every(isPublicIpv4);
  return address.range() === 'unicast' && address.match(GLOBAL_UNICAST);
}

/**
 * Returns the IPv4 addresses that packets to `address` may reach; none for a plain IPv6 address.
 */
function carriedIpv4(address: ipaddr.IPv6): ipaddr.IPv4[] {
  const words = address.parts;
  const ipv4At = (word: number, mask = 0) => {
    const high = (words[word] ?? 0) ^ mask;
    const low = (words[word + 1] ?? 0) ^ mask;
    return new ipaddr.IPv4([high >> 8, high & 0xff, low >> 8, low & 0xff]);
  };
  switch (address.range()) {
    case 'ipv4Mapped':
    case 'rfc6145':
      return [ipv4At(6)];
    case 'rfc6052':
      return address.match(NAT64) ? [ipv4At(6)] : [];
    case '6to4':
      return [ipv4At(1)];
    case 'teredo':
      // The relay's server, and the client behind it with every bit flipped (RFC 4380 §4).
      return [ipv4At(2), ipv4At(6, 0xffff)];
    default:
      return [];
  }
}
