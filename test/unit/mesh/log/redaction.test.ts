import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { redact } from '#mesh/log/redaction.ts';

const HIDDEN = '[Redacted]';

describe('redact', () => {
  it('censors credentials and content by their names, at any depth and in lists', () => {
    const fields = {
      Authorization: 'Bearer a',
      'Proxy-Authorization': 'Basic b',
      request: { headers: { 'X-Api-Key': 'b', cookie: 'c', accept: 'd' } },
      bodies: [{ messages: ['e'] }, { prompt: 'f', model: 'g' }],
    };

    assert.deepEqual(redact(fields), {
      Authorization: HIDDEN,
      'Proxy-Authorization': HIDDEN,
      request: { headers: { 'X-Api-Key': HIDDEN, cookie: HIDDEN, accept: 'd' } },
      bodies: [{ messages: HIDDEN }, { prompt: HIDDEN, model: 'g' }],
    });
    assert.equal(fields.Authorization, 'Bearer a');
  });

  it('gives a line without such names back as it is', () => {
    const fields = { request_id: 'a', status: 200, err: new Error('b') };

    assert.equal(redact(fields), fields);
  });

  it('leaves out what is nested beyond all reason, a cycle too', () => {
    const cycle: Record<string, unknown> = { name: 'a' };
    cycle['self'] = cycle;

    assert.match(JSON.stringify(redact({ cycle })), /"self":"\[Redacted\]"/);
  });
});
