import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseAllowedDomains } from '#gateway/media/allowed-domains.ts';
import { refusal } from '#test/refusal.ts';

describe('parseAllowedDomains', () => {
  for (const [entry, host] of [
    ['cdn.example.com', 'cdn.example.com'],
    ['CDN.Example.COM', 'cdn.example.com'],
    ['cdn.example.com.', 'cdn.example.com'],
    [' cdn.example.com ', 'cdn.example.com'],
    ['*.Example.com.', '*.example.com'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['*.例え.jp', '*.xn--r8jz45g.jp'],
    ['ｅxample.com', 'example.com'],
    ['media', 'media'],
    ['10.0.0.1', '10.0.0.1'],
    ['::1', '[::1]'],
    ['[::1]', '[::1]'],
    ['[FD00:0:0::1]', '[fd00::1]'],
  ] as const) {
    it(`reads ${JSON.stringify(entry)} as ${host}`, () => {
      assert.deepEqual(parseAllowedDomains([entry]), [host]);
    });
  }

  for (const entry of [
    '',
    '*',
    '*.',
    '*.*.example.com',
    'cdn.*.com',
    '.example.com',
    'example.com..',
    'example.com:8080',
    '[::1]:8080',
    'https://example.com',
    'example.com/pictures',
    'user@example.com',
    'a b.example.com',
    '*.10.0.0.1',
    '[::1%lo]',
  ]) {
    it(`refuses ${JSON.stringify(entry)}, which could match no host`, () => {
      const check = refusal('INVALID_REQUEST', /is not a host; write cdn/, 'allowed-media-domains');

      assert.throws(() => parseAllowedDomains(['cdn.example.com', entry]), check);
    });
  }
});
