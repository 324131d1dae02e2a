import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { FakeBackbone } from './fake-backbone.ts';
import { errorOf, type Harness, startHarness } from './harness.ts';

const LIMITS = { maxMessages: 2, maxMessageParts: 2, maxTextBytes: 60, maxContextBytes: 40n };

describe('a prompt larger than the backbone takes', () => {
  let harness: Harness;
  before(async () => {
    const backbone = new FakeBackbone();
    backbone.promptLimits = LIMITS;
    harness = await startHarness({ backbones: [backbone] });
  });
  after(() => harness.close());

  const hi = { role: 'user', content: 'hi' };
  const part = { type: 'text', text: 'hi' };
  const rows: readonly (readonly [string, object, number, RegExp])[] = [
    ['/v1/chat/completions', { messages: [hi, hi, hi] }, 400, /3 entries/],
    [
      '/v1/chat/completions',
      { messages: [{ role: 'user', content: [part, part, part] }] },
      400,
      /parts/,
    ],
    ['/v1/chat/completions', { messages: [{ ...hi, content: 'x'.repeat(41) }] }, 400, /45 bytes/],
    ['/v1/completions', { prompt: 'x'.repeat(61) }, 413, /61 bytes/],
    ['/v1/completions', { prompt: ['hi', 'x'.repeat(61)] }, 413, /61 bytes/],
    ['/tokenize', { prompt: 'x'.repeat(61) }, 413, /61 bytes/],
    ['/tokenize', { messages: [hi, hi, hi] }, 400, /3 entries/],
  ];
  for (const [path, body, status, says] of rows) {
    it(`is refused by ${path} with ${status} (${says.source}) and never sent`, async () => {
      const answer = await harness.post(path, body);

      assert.equal(answer.status, status);
      assert.match((await errorOf(answer)).message, says);
      assert.deepEqual(harness.backbone.trace, []);
    });
  }
});
