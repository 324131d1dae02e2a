import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isAnyAddress, isPublicAddress } from '#gateway/media/address-rules.ts';

const PUBLIC = [
  '8.8.8.8',
  '1.1.1.1',
  '203.0.114.1',
  '2606:4700:4700::1111',
  '2a00:1450:4001:80b::200e',
  '::ffff:8.8.8.8',
  '64:ff9b::8.8.8.8',
  '2002:808:808::1',
] as const;

const FORBIDDEN: readonly (readonly [string, string])[] = [
  ['127.0.0.1', 'loopback'],
  ['127.255.255.254', 'the end of loopback'],
  ['0.0.0.0', 'this host'],
  ['0.1.2.3', 'this network'],
  ['10.0.0.1', 'private'],
  ['172.16.0.1', 'private'],
  ['172.31.255.255', 'private'],
  ['192.168.1.1', 'private'],
  ['169.254.169.254', 'cloud metadata'],
  ['100.64.0.1', 'carrier-grade NAT'],
  ['100.100.100.200', 'cloud metadata in carrier-grade NAT'],
  ['168.63.129.16', 'a cloud host agent on a public address'],
  ['192.0.0.192', 'cloud metadata in protocol assignments'],
  ['192.0.2.1', 'documentation'],
  ['198.18.0.1', 'benchmarking'],
  ['224.0.0.1', 'multicast'],
  ['240.0.0.1', 'reserved'],
  ['255.255.255.255', 'broadcast'],
  ['::', 'unspecified'],
  ['::1', 'loopback'],
  ['::7f00:1', 'IPv4-compatible loopback'],
  ['::ffff:127.0.0.1', 'mapped loopback'],
  ['::ffff:a9fe:a9fe', 'mapped cloud metadata'],
  ['::ffff:0:7f00:1', 'translated loopback'],
  ['64:ff9b::7f00:1', 'loopback behind NAT64'],
  ['64:ff9b::a9fe:a9fe', 'cloud metadata behind NAT64'],
  ['64:ff9b:1::808:808', 'local-use NAT64'],
  ['2002:7f00:1::', 'loopback behind 6to4'],
  ['2002:a9fe:a9fe::1', 'cloud metadata behind 6to4'],
  ['2001:0:4136:e378:8000:63bf:80ff:fffe', 'loopback behind Teredo'],
  ['2001:0:7f00:1:8000:63bf:f7f7:f7f7', 'a Teredo server on loopback'],
  ['fe80::1', 'link-local'],
  ['fe80::1%eth0', 'link-local with a zone'],
  ['2606:4700:4700::1111%eth0', 'a zone on a public address'],
  ['fc00::1', 'unique local'],
  ['fd00:ec2::254', 'cloud metadata in unique local'],
  ['fec0::1', 'site-local'],
  ['ff02::1', 'multicast'],
  ['100::1', 'discard'],
  ['2001:db8::1', 'documentation'],
  ['1000::1', 'outside global unicast'],
  ['4000::1', 'outside global unicast'],
  ['2130706433', 'a number'],
  ['0x7f.1', 'hexadecimal'],
  ['0177.0.0.1', 'octal'],
  ['127.1', 'a short form'],
  ['localhost', 'a name'],
  ['', 'nothing'],
];

describe('isPublicAddress', () => {
  for (const address of PUBLIC) {
    it(`allows ${address}`, () => {
      assert.equal(isPublicAddress(address), true);
    });
  }

  for (const [address, what] of FORBIDDEN) {
    it(`forbids ${address || 'an empty text'}, ${what}`, () => {
      assert.equal(isPublicAddress(address), false);
    });
  }
});

describe('isAnyAddress', () => {
  it('allows a private address', () => {
    assert.equal(isAnyAddress('10.0.0.1'), true);
  });
});
