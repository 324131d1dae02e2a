import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AllowedHosts } from '#mesh/process/allowed-hosts.ts';

const HOSTS = new AllowedHosts(['gateway.example', '*.mesh.example', 'Box.Local.']);

describe('AllowedHosts', () => {
  it('allows addresses, local names and the names of the server, with or without a port', () => {
    for (const host of [
      '127.0.0.1',
      '192.168.1.5:8000',
      '[::1]',
      '[2001:db8::1]:8000',
      'localhost',
      'LOCALHOST:8000',
      'api.localhost:8000',
      'localhost.',
      'gateway.example',
      'Gateway.Example.:8000',
      'a.mesh.example',
      'box.local',
    ]) {
      assert.doesNotThrow(() => HOSTS.check(host), host);
    }
  });

  it('refuses every other name and what is no host', () => {
    for (const host of [
      'evil.example',
      'evil.example:8000',
      'localhost.evil.example',
      'evillocalhost',
      'gateway.example.evil.example',
      'mesh.example',
      '127.0.0.1.evil.example',
      '127.0.0.1@evil.example',
      'user:127.0.0.1',
      '[::1].evil.example',
      '[evil.example]',
      '::1',
      '0x7f.1',
      '2130706433',
      'localhost..',
      'localhost:8000:evil.example',
      '',
      ' localhost',
      'x'.repeat(300),
    ]) {
      assert.throws(() => HOSTS.check(host), { reason: 'HOST_NOT_ALLOWED' }, host);
    }
  });

  it('names the key and cuts the host that it repeats', () => {
    assert.throws(
      () => HOSTS.check(`${'x'.repeat(5000)}.example`),
      (error: unknown) =>
        error instanceof Error &&
        /"allowed-hosts"/.test(error.message) &&
        error.message.length < 400,
    );
  });

  it('allows every name if the list says so', () => {
    assert.doesNotThrow(() => new AllowedHosts(['*']).check('any.example'));
  });
});
