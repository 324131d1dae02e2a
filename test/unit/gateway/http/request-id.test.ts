import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { requestId } from '#gateway/http/request-id.ts';

const MADE = /^[0-9a-f]{8}-[0-9a-f-]{27}$/;

describe('requestId', () => {
  it("keeps the client's where it is fit for logs and headers", () => {
    assert.equal(requestId({ headers: { 'x-request-id': 'req_1.a:b/c' } }), 'req_1.a:b/c');
  });

  it('makes one otherwise', () => {
    for (const given of [undefined, '', 'a b', 'ä', 'a\n', 'a'.repeat(129)]) {
      assert.match(requestId({ headers: { 'x-request-id': given } }), MADE, String(given));
    }
  });
});
