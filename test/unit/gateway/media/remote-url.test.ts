import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isAnyAddress, isPublicAddress } from '#gateway/media/address-rules.ts';
import { checkRedirect, checkRemoteUrl, type UrlRules } from '#gateway/media/remote-url.ts';
import { refusalOf } from '#test/refusal.ts';

const PUBLIC: UrlRules = {
  isAllowedAddress: isPublicAddress,
  intranet: false,
  allowedDomains: [],
};
const INTRANET: UrlRules = { isAllowedAddress: isAnyAddress, intranet: true, allowedDomains: [] };
const LISTED: UrlRules = { ...PUBLIC, allowedDomains: ['example.com', '*.cdn.example.net'] };

const ALLOWED: readonly (readonly [string, UrlRules])[] = [
  ['https://example.com/a.png?x=1', PUBLIC],
  ['http://example.com:80/a.png', PUBLIC],
  ['https://bücher.example/a.png', PUBLIC],
  ['https://my_bucket.s3.example.com/a.png', PUBLIC],
  ['https://8.8.8.8/a.png', PUBLIC],
  ['https://[2606:4700:4700::1111]/a.png', PUBLIC],
  ['http://media:8080/a.png', INTRANET],
  ['http://127.0.0.1:1234/a.png', INTRANET],
  ['https://EXAMPLE.com/a.png', LISTED],
  ['https://eu.cdn.example.net/a.png', LISTED],
];

const NOT_PUBLIC = /not on the public internet/;
const NOT_PUBLIC_NAME = /not one of the public internet/;
const NOT_LISTED = /not among the domains/;

const FORBIDDEN: readonly (readonly [string, RegExp, UrlRules?])[] = [
  ['http://127.0.0.1/', NOT_PUBLIC],
  ['http://127.1/', NOT_PUBLIC],
  ['http://2130706433/', NOT_PUBLIC],
  ['http://0x7f000001/', NOT_PUBLIC],
  ['http://0x7f.1/', NOT_PUBLIC],
  ['http://0177.0.0.1/', NOT_PUBLIC],
  ['http://017700000001/', NOT_PUBLIC],
  ['http://127.0.0.1./', NOT_PUBLIC],
  ['http://127。0。0。1/', NOT_PUBLIC],
  ['http://①②⑦.⓪.⓪.①/', NOT_PUBLIC],
  ['http://%31%32%37.0.0.1/', NOT_PUBLIC],
  ['http://0/', NOT_PUBLIC],
  ['http://169.254.169.254/latest/meta-data/', NOT_PUBLIC],
  ['http://[::1]/', NOT_PUBLIC],
  ['http://[::]/', NOT_PUBLIC],
  ['http://[::ffff:127.0.0.1]/', NOT_PUBLIC],
  ['http://[0:0:0:0:0:ffff:a9fe:a9fe]/', NOT_PUBLIC],
  ['http://[64:ff9b::7f00:1]/', NOT_PUBLIC],
  ['http://localhost/', NOT_PUBLIC_NAME],
  ['http://kubernetes/', NOT_PUBLIC_NAME],
  ['http://example.com./', NOT_PUBLIC_NAME],
  ['http://example..com/', NOT_PUBLIC_NAME],
  ["http://exam'ple.com/", NOT_PUBLIC_NAME],
  [`http://${'a'.repeat(64)}.com/`, NOT_PUBLIC_NAME],
  ['http://example.com:22/', /port 22/],
  ['http://example.com:8080/', /port 8080/],
  ['http://user@example.com/', /user name/],
  ['http://:secret@example.com/', /user name/],
  ['http://8.8.8.8@127.0.0.1/', /user name/],
  ['ftp://example.com/', /only http/],
  ['file:///etc/passwd', /only http/],
  ['gopher://example.com/', /only http/],
  ['http://user@media/', /user name/, INTRANET],
  ['http://media./', NOT_PUBLIC_NAME, INTRANET],
  ['https://example.org/', NOT_LISTED, LISTED],
  ['https://www.example.com/', NOT_LISTED, LISTED],
  ['https://cdn.example.net/', NOT_LISTED, LISTED],
  ['https://evilcdn.example.net/', NOT_LISTED, LISTED],
  ['https://8.8.8.8/', NOT_LISTED, LISTED],
];

describe('checkRemoteUrl', () => {
  for (const [url, rules] of ALLOWED) {
    it(`lets ${url} pass`, () => {
      assert.doesNotThrow(() => checkRemoteUrl(new URL(url), rules));
    });
  }

  for (const [url, message, rules = PUBLIC] of FORBIDDEN) {
    it(`refuses ${url}`, () => {
      const error = refusalOf(() => checkRemoteUrl(new URL(url), rules));

      assert.equal(error.reason, 'INVALID_REQUEST');
      assert.match(error.message, message);
    });
  }
});

describe('checkRedirect', () => {
  for (const [from, to, intranet] of [
    ['http://a.example/', 'http://b.example/', false],
    ['http://a.example/', 'https://a.example/', false],
    ['https://a.example/', 'https://b.example/', false],
    ['https://a.example/', 'http://a.example/', true],
  ] as const) {
    it(`lets ${from} lead to ${to}${intranet ? ' in a closed network' : ''}`, () => {
      assert.doesNotThrow(() => checkRedirect(new URL(from), new URL(to), { intranet }));
    });
  }

  it('refuses to give up encryption', () => {
    const error = refusalOf(() =>
      checkRedirect(new URL('https://a.example/'), new URL('http://a.example/'), {
        intranet: false,
      }),
    );

    assert.equal(error.reason, 'INVALID_REQUEST');
    assert.match(error.message, /from https to http/);
  });
});
