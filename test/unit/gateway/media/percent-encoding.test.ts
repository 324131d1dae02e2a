import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodePercent } from '#gateway/media/percent-encoding.ts';

const MAX_BYTES = 10_000_000;
const BYTES = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
const escaped = (bytes: Buffer) =>
  bytes
    .toString('hex')
    .replaceAll(/../g, (digits, at) => `%${at % 4 ? digits : digits.toUpperCase()}`);

describe('decodePercent', () => {
  it('gives back every byte, whatever the case of its digits', async () => {
    assert.deepEqual(await decodePercent(escaped(BYTES), MAX_BYTES), BYTES);
  });

  for (const [text, bytes] of [
    ['', ''],
    ['a+b', 'a+b'],
    ['a%20b', 'a b'],
    ['100%', '100%'],
    ['%4', '%4'],
    ['%zz%41', '%zzA'],
    ['%%41', '%A'],
    ['图%E5%9B%BE', '图图'],
  ] as const) {
    it(`reads ${JSON.stringify(text)} as ${JSON.stringify(bytes)}`, async () => {
      assert.deepEqual(await decodePercent(text, MAX_BYTES), Buffer.from(bytes));
    });
  }

  it('reads a text of many turns, wherever a turn cuts an escape or a character', async () => {
    for (const start of ['', 'a', 'aa']) {
      const text = start + '%41😀'.repeat(100_000);
      const bytes = await decodePercent(text, MAX_BYTES);

      assert(bytes?.equals(Buffer.from(start + 'A😀'.repeat(100_000))), start);
    }
  });

  it('refuses what decodes to more bytes than allowed', async () => {
    assert.equal((await decodePercent('%41%42', 2))?.length, 2);
    assert.equal(await decodePercent('%41%42C', 2), undefined);
    assert.equal(await decodePercent('%'.repeat(10_000_000), 2), undefined);
  });
});
