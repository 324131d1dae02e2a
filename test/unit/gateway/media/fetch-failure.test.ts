import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FetchDeadline } from '#gateway/media/fetch-deadline.ts';
import { fetchFailure } from '#gateway/media/fetch-failure.ts';

describe('a failed fetch', () => {
  const cases = [
    ['CERT_HAS_EXPIRED', /certificate has expired/],
    ['CERT_NOT_YET_VALID', /certificate is not valid yet/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', /certificate is for another host name/],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', /certificate is self-signed/],
    ['SELF_SIGNED_CERT_IN_CHAIN', /certificate is self-signed/],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', /authority that is not known here/],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', /authority that is not known here/],
    ['CERT_REVOKED', /no valid certificate/],
    ['ERR_SSL_WRONG_VERSION_NUMBER', /does not speak TLS/],
    ['ENOTFOUND', /could not be resolved/],
    ['ECONNREFUSED', /connection to its server failed/],
  ] as const;
  for (const [code, says] of cases) {
    it(`says what ${code} means`, () => {
      const cause = Object.assign(new Error('127.0.0.1 says so'), { code });

      const { message } = fetchFailure(cause, { param: 'url', deadline: new FetchDeadline(1) });

      assert.match(message, says);
      assert.doesNotMatch(message, /127/);
    });
  }
});
