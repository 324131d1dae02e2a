import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeBase64 } from '#gateway/media/base64.ts';
import { turnsDuring } from '#test/unit/turns-during.ts';

const MAX_BYTES = 1024;
const BYTES = Buffer.from(Array.from({ length: 200 }, (_, i) => (i * 37) % 256));

async function decoded(text: string): Promise<Buffer> {
  const result = await decodeBase64(text, MAX_BYTES);
  return result.outcome === 'decoded' ? result.bytes : assert.fail(result.outcome);
}

describe('decodeBase64', () => {
  for (const numBytes of [0, 1, 2, 3, 4, 57, 58, 199, 200]) {
    it(`gives back ${numBytes} bytes, padded or not`, async () => {
      const bytes = BYTES.subarray(0, numBytes);
      const text = bytes.toString('base64');

      assert.deepEqual(await decoded(text), bytes);
      assert.deepEqual(await decoded(text.replace(/=+$/, '')), bytes);
    });
  }

  it('reads the URL alphabet', async () => {
    assert.deepEqual(await decoded(BYTES.toString('base64url')), BYTES);
  });

  it('tolerates the line breaks of MIME and blanks around', async () => {
    const lines = BYTES.toString('base64').replaceAll(/.{76}/g, '$&\r\n');

    assert.deepEqual(await decoded(` ${lines}\n`), BYTES);
  });

  it('reads a text of many turns, broken into lines, with padding at its end', async () => {
    const bytes = Buffer.from(Array.from({ length: 1_000_000 }, (_, i) => (i * 37) % 256));
    const lines = bytes.toString('base64').replaceAll(/.{76}/g, '$&\r\n');
    const result = await decodeBase64(lines, bytes.length);

    assert(result.outcome === 'decoded' && result.bytes.equals(bytes));
  });

  it('finds a character of no alphabet, or padding, far from both ends', async () => {
    const text = 'A'.repeat(1_000_000);
    for (const wrong of ['*', '=']) {
      const middle = `${text.slice(0, 500_000)}${wrong}${text.slice(500_001)}`;

      assert.equal((await decodeBase64(middle, 1_000_000)).outcome, 'malformed');
    }
  });

  it('lets the event loop turn while it decodes a large text', async () => {
    const text = 'A'.repeat(20_000_000);
    const numTurns = await turnsDuring(() => decodeBase64(text, 20_000_000));

    assert.ok(numTurns > 100, `${numTurns} turns`);
  });

  it('tolerates blanks within padding', async () => {
    assert.deepEqual(await decoded('AAAAAA=\r\n= \n'), Buffer.alloc(4));
  });

  it('passes over white space between all characters in little time', async () => {
    const spaced = 'A '.repeat(8_000_000);
    const startedMs = performance.now();

    const result = await decodeBase64(spaced, 20_000_000);

    const spentMs = performance.now() - startedMs;
    assert.equal(result.outcome === 'decoded' && result.bytes.length, 6_000_000);
    assert.ok(spentMs < 1000, `decoding took ${spentMs} ms`);
  });

  for (const [text, what] of [
    ['A', 'one digit alone'],
    ['AAAAA', 'a digit too many'],
    ['AA=', 'padding that is too short'],
    ['AAA==', 'padding that is too long'],
    ['AAAA====', 'padding without digits'],
    ['=', 'padding alone'],
    ['AA==AA==', 'padding in the middle'],
    ['AAAA*AAA', 'a character of no alphabet'],
    ['AAAA%2BAA', 'percent encoding'],
    ['AAAAéAAA', 'a letter beyond ASCII'],
    ['AAAA图AAA', 'a character beyond Latin-1'],
    ['data:AAAA', 'a prefix'],
    ['AAAA\u00a0AAAA', 'white space beyond ASCII'],
    ['A = = =', 'padding of more than two, spaced'],
  ] as const) {
    it(`refuses ${what}`, async () => {
      assert.equal((await decodeBase64(text, MAX_BYTES)).outcome, 'malformed');
    });
  }

  it('accepts exactly the largest size', async () => {
    assert.equal((await decodeBase64(BYTES.toString('base64'), BYTES.length)).outcome, 'decoded');
  });

  it('refuses one byte more', async () => {
    assert.equal(
      (await decodeBase64(BYTES.toString('base64'), BYTES.length - 1)).outcome,
      'too-large',
    );
  });

  it('judges the size of a huge text without decoding it', async () => {
    // The text is not base64, so the refusal can only be based on its length.
    assert.equal((await decodeBase64('*'.repeat(1_000_000), MAX_BYTES)).outcome, 'too-large');
  });
});
