import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeBase64 } from '#gateway/media/base64.ts';

const MAX_BYTES = 1024;
const BYTES = Buffer.from(Array.from({ length: 200 }, (_, i) => (i * 37) % 256));

function decoded(text: string): Buffer {
  const result = decodeBase64(text, MAX_BYTES);
  return result.outcome === 'decoded' ? result.bytes : assert.fail(result.outcome);
}

describe('decodeBase64', () => {
  for (const numBytes of [0, 1, 2, 3, 4, 57, 58, 199, 200]) {
    it(`gives back ${numBytes} bytes, padded or not`, () => {
      const bytes = BYTES.subarray(0, numBytes);
      const text = bytes.toString('base64');

      assert.deepEqual(decoded(text), bytes);
      assert.deepEqual(decoded(text.replace(/=+$/, '')), bytes);
    });
  }

  it('reads the URL alphabet', () => {
    assert.deepEqual(decoded(BYTES.toString('base64url')), BYTES);
  });

  it('tolerates the line breaks of MIME and blanks around', () => {
    const lines = BYTES.toString('base64').replaceAll(/.{76}/g, '$&\r\n');

    assert.deepEqual(decoded(` ${lines}\n`), BYTES);
  });

  it('tolerates blanks within padding', () => {
    assert.deepEqual(decoded('AAAAAA=\r\n= \n'), Buffer.alloc(4));
  });

  it('passes over white space between all characters without taking a copy', () => {
    const spaced = 'A '.repeat(8_000_000);
    const startedMs = performance.now();

    const result = decodeBase64(spaced, 20_000_000);

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
    it(`refuses ${what}`, () => {
      assert.equal(decodeBase64(text, MAX_BYTES).outcome, 'malformed');
    });
  }

  it('accepts exactly the largest size', () => {
    assert.equal(decodeBase64(BYTES.toString('base64'), BYTES.length).outcome, 'decoded');
  });

  it('refuses one byte more', () => {
    assert.equal(decodeBase64(BYTES.toString('base64'), BYTES.length - 1).outcome, 'too-large');
  });

  it('judges the size of a huge text without decoding it', () => {
    // The text is not base64, so the refusal can only be based on its length.
    assert.equal(decodeBase64('*'.repeat(1_000_000), MAX_BYTES).outcome, 'too-large');
  });
});
