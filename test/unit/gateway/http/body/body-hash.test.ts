import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bodyHash } from '#gateway/http/body/body-hash.ts';
import { FormBody } from '#gateway/http/body/form-body.ts';

function formOf(bytes: string, text = 'm'): FormBody {
  const form = new FormBody();
  form.texts.set('model', [text]);
  form.files.push({ field: 'file', declaredType: 'audio/wav', bytes: Buffer.from(bytes) });
  return form;
}

/** Bodies that say different things. */
const DIFFERENT: readonly unknown[] = [
  null,
  1,
  1n,
  '1',
  true,
  'true',
  [],
  {},
  [1, 2],
  [12],
  [[1], 2],
  ['a', 'b'],
  ['ab', ''],
  { a: 1 },
  { a: '1' },
  { a: 1n },
  { b: 1 },
  { a: { b: 1 } },
  { a: [1] },
  { a: 'x'.repeat(3_000_000) },
  { a: 'x'.repeat(3_000_001) },
  formOf('abc'),
  formOf('abd'),
  formOf('abc', 'n'),
];

describe('bodyHash', () => {
  it('is another one for each body that says something else', async () => {
    const hashes = await Promise.all(DIFFERENT.map((body) => bodyHash(body)));

    assert.equal(new Set(hashes).size, DIFFERENT.length);
  });

  it('is the same for fields in another order and for a form sent again', async () => {
    const [one, other] = [
      { a: 1, b: { c: 2, d: 3 } },
      { b: { d: 3, c: 2 }, a: 1 },
    ];

    assert.equal(await bodyHash(one), await bodyHash(other));
    assert.equal(await bodyHash(formOf('abc')), await bodyHash(formOf('abc')));
  });

  it('lets others have their turn while it hashes a large body', async () => {
    let numTurns = 0;
    let isOver = false;
    const count = () => {
      numTurns += 1;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    await bodyHash({ image: 'x'.repeat(20_000_000) });
    isOver = true;

    assert(numTurns >= 19, `${numTurns} turns`);
  });
});
