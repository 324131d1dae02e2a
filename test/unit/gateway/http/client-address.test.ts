import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { ApiKeys } from '#gateway/http/auth.ts';
import { ClientAddresses } from '#gateway/http/client-address.ts';
import { ClientIdentity } from '#gateway/http/client-identity.ts';

/** Makes a request from an address with headers. */
function requestFrom(remoteAddress: string, headers: Record<string, string> = {}) {
  const socket = new Socket();
  Object.defineProperty(socket, 'remoteAddress', { value: remoteAddress });
  return { socket, headers };
}

const PROXIES = ['10.0.0.0/8', '::1', '2001:db8:ffff::/48'];

const CASES: readonly (readonly [string, string, Record<string, string>, string])[] = [
  ['a direct client', '203.0.113.7', {}, '203.0.113.7'],
  ['IPv4 within IPv6', '::ffff:203.0.113.7', {}, '203.0.113.7'],
  ['IPv6 by its network', '2001:db8:1:2:3:4:5:6', {}, '2001:db8:1:2::/64'],
  [
    'a stranger that claims another',
    '203.0.113.7',
    { 'x-forwarded-for': '1.2.3.4' },
    '203.0.113.7',
  ],
  ['a client behind a proxy', '10.0.0.1', { 'x-forwarded-for': '198.51.100.9' }, '198.51.100.9'],
  [
    'a client that invents hops',
    '10.0.0.1',
    { 'x-forwarded-for': '1.1.1.1, 198.51.100.9, 10.0.0.2' },
    '198.51.100.9',
  ],
  ['a port', '10.0.0.1', { 'x-forwarded-for': '198.51.100.9:4711' }, '198.51.100.9'],
  ['a hop that is no address', '10.0.0.1', { 'x-forwarded-for': '198.51.100.9, junk' }, '10.0.0.1'],
  ['Forwarded', '::1', { forwarded: 'for=1.1.1.1, for=198.51.100.9;proto=http' }, '198.51.100.9'],
  [
    'Forwarded with IPv6',
    '::1',
    { forwarded: 'proto=http;For="[2001:db8:cafe::17]:4711"' },
    '2001:db8:cafe::/64',
  ],
  [
    'Forwarded beside the header that the proxy writes',
    '10.0.0.1',
    { forwarded: 'for=1.1.1.1', 'x-forwarded-for': '198.51.100.9' },
    '198.51.100.9',
  ],
];

describe('ClientAddresses', () => {
  for (const [name, from, headers, expected] of CASES) {
    it(`names ${name}`, () => {
      const addresses = new ClientAddresses(PROXIES);

      assert.equal(addresses.networkOf(requestFrom(from, headers)), expected);
    });
  }

  it('trusts nobody by default', () => {
    const request = requestFrom('127.0.0.1', { 'x-forwarded-for': '1.2.3.4' });

    assert.equal(new ClientAddresses([]).networkOf(request), '127.0.0.1');
  });

  it('refuses what is no network, and names the key', () => {
    for (const text of ['proxy.example', '10.0.0.0/33', '']) {
      assert.throws(() => new ClientAddresses([text]), /key "trusted-proxies"/, text);
    }
  });
});

describe('ClientIdentity', () => {
  const addresses = new ClientAddresses([]);

  it('is the key if keys are checked, and does not tell it', () => {
    const identity = new ClientIdentity(new ApiKeys('secret-one, secret-two'), addresses);
    const nameOf = (authorization: string, from = '192.0.2.1') =>
      identity.nameOf(requestFrom(from, { authorization }));

    const one = nameOf('Bearer secret-one');

    assert.match(one, /^key:[0-9a-f]{32}$/);
    assert.equal(nameOf('bearer  secret-one', '192.0.2.2'), one);
    assert.notEqual(nameOf('Bearer secret-two'), one);
  });

  it('is the address if no key is checked, whatever key is sent', () => {
    const identity = new ClientIdentity(new ApiKeys(undefined), addresses);
    const request = requestFrom('192.0.2.1', { authorization: 'Bearer EMPTY' });

    assert.equal(identity.nameOf(request), 'address:192.0.2.1');
  });
});
