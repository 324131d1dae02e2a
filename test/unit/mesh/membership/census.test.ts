import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { countModels, parseCensus } from '#mesh/membership/census.ts';

function record(models: readonly string[], { version = '1.0', fingerprint = 'a'.repeat(64) } = {}) {
  const place = { address: '127.0.0.1:1', device: 'cpu', zone: '', weight: 1 };
  return JSON.stringify({ models, version, fingerprint, ...place });
}

describe('the census of models', () => {
  it('names each kind of replica once, whatever the order of the records', () => {
    const values = [
      record(['phone', 'p']),
      record(['phone'], { fingerprint: 'b'.repeat(64) }),
      record(['phone']),
      record(['phone'], { version: '1.1' }),
    ];

    const census = countModels(values);

    const [a, b, c] = [
      '0, weights aaaaaaaaaaaa',
      '0, weights bbbbbbbbbbbb',
      '1, weights aaaaaaaaaaaa',
    ];
    assert.deepEqual(census, {
      p: [`version 1.${a}`],
      phone: [`version 1.${a}`, `version 1.${b}`, `version 1.${c}`],
    });
    assert.equal(JSON.stringify(countModels(values.toReversed())), JSON.stringify(census));
  });

  it('passes over what is no record', () => {
    assert.deepEqual(countModels(['{', '{}', record(['m'])]), {
      m: ['version 1.0, weights aaaaaaaaaaaa'],
    });
  });

  it('is empty if what was kept cannot be read', () => {
    for (const text of ['', '{', '[]', '{"m":1}']) assert.deepEqual(parseCensus(text), {});
    assert.deepEqual(parseCensus('{"m":["x"]}'), { m: ['x'] });
  });
});
