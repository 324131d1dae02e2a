import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { advertisedAddress, type Interfaces } from '#mesh/membership/advertised-address.ts';
import { memoryLog } from '#test/memory-log.ts';
import { refusal } from '#test/refusal.ts';

/** Makes a machine with these addresses; `lo` is there always. */
function machine(...addresses: readonly string[]): Interfaces {
  const entry = (address: string, internal: boolean) => ({
    address,
    internal,
    family: address.includes(':') ? ('IPv6' as const) : ('IPv4' as const),
    netmask: '',
    mac: '',
    cidr: null,
    scopeid: 0,
  });
  return {
    lo: [entry('127.0.0.1', true), entry('::1', true)],
    eth0: addresses.map((address) => entry(address, false)),
  };
}

/** Returns the address that is given to others, and what the log says. */
function advertised(address: string, interfaces: Interfaces, advertise?: string) {
  const { log, lines } = memoryLog();
  const given = advertisedAddress({ address, advertise }, log, () => interfaces);
  return { given, said: lines.map(({ msg }) => msg) };
}

describe('advertisedAddress', () => {
  it('is the one that the process listens on', () => {
    const { given, said } = advertised('10.0.0.7:8051', machine('10.0.0.7'));

    assert.equal(given, '10.0.0.7:8051');
    assert.deepEqual(said, []);
  });

  it('is the one that the configuration says', () => {
    assert.equal(advertised('0.0.0.0:8051', machine(), 'pod.example:9').given, 'pod.example:9');
  });

  for (const { address, interfaces, given } of [
    { address: '0.0.0.0:8051', interfaces: machine('fd00::7', '10.0.0.7'), given: '10.0.0.7:8051' },
    { address: '[::]:8051', interfaces: machine('fe80::1', 'fd00::7'), given: '[fd00::7]:8051' },
  ]) {
    it(`is the first address of the machine for ${address}, IPv4 before IPv6: ${given}`, () => {
      assert.equal(advertised(address, interfaces).given, given);
    });
  }

  it('warns of a loopback address, which other machines cannot reach', () => {
    for (const address of ['127.0.0.1:8051', 'localhost:8051', '[::1]:8051']) {
      const { given, said } = advertised(address, machine('10.0.0.7'));

      assert.equal(given, address);
      assert.match(said[0] ?? '', /no other machine reaches; set the keys "listen" or "advertise"/);
    }
  });

  it('needs no list of addresses where it is known, and says what to set where there is none', () => {
    const { log } = memoryLog();
    const forbidden = () => {
      throw new Error('uv_interface_addresses returned Unknown system error 97');
    };
    const given = (address: string, advertise?: string) =>
      advertisedAddress({ address, advertise }, log, forbidden);

    assert.equal(given('10.0.0.7:8051'), '10.0.0.7:8051');
    assert.equal(given('0.0.0.0:8051', 'pod.example:9'), 'pod.example:9');
    const check = refusal('INVALID_REQUEST', /cannot be read.*set it to host:port/, 'advertise');
    assert.throws(() => given('0.0.0.0:8051'), check);
  });

  it('refuses a machine that has loopback addresses alone', () => {
    const check = refusal('INVALID_REQUEST', /set it to host:port/, 'advertise');

    assert.throws(() => advertised('0.0.0.0:8051', machine()), check);
  });
});
