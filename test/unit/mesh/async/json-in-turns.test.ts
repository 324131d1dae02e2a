import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { jsonInTurns } from '#mesh/async/json-in-turns.ts';
import { turnsDuring } from '#test/unit/turns-during.ts';

const late = (value: object) => ({ toJSON: () => value });

describe('JSON that is written in turns', () => {
  it('is what JSON.stringify writes', async () => {
    const numbers = Array.from({ length: 100 }, (_, i) => i / 3);
    const values: readonly unknown[] = [
      null,
      true,
      -0.5,
      Number.POSITIVE_INFINITY,
      'a "text"\u2028',
      {},
      [],
      [[]],
      [undefined, null, [undefined]],
      { a: undefined, b: { c: undefined }, d: 1 },
      numbers,
      [null, ...numbers.map((one) => late({ one })), { plain: numbers }, 'end'],
      { __proto__: null, '"': [{ a: [late([1]), {}, [2]] }], late: late({ a: [undefined] }) },
    ];

    for (const value of values) {
      assert.equal(String(await jsonInTurns(value)), JSON.stringify(value));
    }
  });

  it('holds nobody up while it makes a long list', async () => {
    const list = Array.from({ length: 200 }, () => ({
      toJSON: () => {
        const endMs = performance.now() + 0.5;
        while (performance.now() < endMs);
        return 1;
      },
    }));

    const numTurns = await turnsDuring(() => jsonInTurns({ choices: [{ list }] }));

    assert(numTurns >= 200 / 32 - 1, `${numTurns} turns`);
  });
});
