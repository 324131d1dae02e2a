import assert from 'node:assert/strict';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { describe, it } from 'node:test';
import { BodyBytes } from '#gateway/http/body/body-bytes.ts';
import { JsonParser } from '#gateway/http/body/json-parser.ts';

const MB = 1_000_000;

function source(text: string, signal = new AbortController().signal) {
  const bytes = new BodyBytes();
  const all = Buffer.from(text);
  for (let at = 0; at < all.length; at += 65_536) bytes.push(all.subarray(at, at + 65_536));
  return { bytes, numValues: 3, signal };
}

describe('JsonParser', () => {
  it('gives the same value for small and large bodies', async () => {
    const parser = new JsonParser();

    for (const numChars of [10, 100_000, 3 * MB]) {
      const value = { a: '打'.repeat(numChars), b: [1, null, 'x\n'] };
      assert.deepEqual(await parser.parse(source(JSON.stringify(value))), value, String(numChars));
    }
  });

  it('refuses a large body as it refuses a small one, and goes on', async () => {
    const parser = new JsonParser();
    const long = 'a'.repeat(2 * MB);

    await assert.rejects(parser.parse(source(`{"a":"${long}",}`)), {
      reason: 'INVALID_REQUEST',
      message: /not valid JSON at position \d+/,
    });
    assert.deepEqual(await parser.parse(source(`["${long}"]`)), [long]);
  });

  it('forgets a body whose client has gone while it waited', async () => {
    const parser = new JsonParser();
    const client = new AbortController();
    const text = JSON.stringify('a'.repeat(2 * MB));

    const first = parser.parse(source(text));
    const second = parser.parse(source(text, client.signal));
    client.abort(new Error('gone'));

    await Promise.all([first, assert.rejects(second, /gone/)]);
    assert.equal(await first, 'a'.repeat(2 * MB));
  });

  it('leaves the loop free while it parses 30 MB of escapes', async () => {
    const parser = new JsonParser();
    await parser.parse(source(JSON.stringify('a'.repeat(2 * MB))));
    const body = source(`"${'\\n'.repeat(15 * MB)}"`);
    const startMs = performance.now();
    JSON.parse(`"${'\\n'.repeat(15 * MB)}"`);
    const parseMs = performance.now() - startMs;
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();

    await parser.parse(body);
    delay.disable();

    const longestMs = delay.max / 1e6;
    assert(longestMs < parseMs, `the loop stood for ${longestMs} ms of ${parseMs} ms`);
  });
});
