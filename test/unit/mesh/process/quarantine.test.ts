import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Quarantine } from '#mesh/process/quarantine.ts';
import { refusal } from '#test/refusal.ts';

describe('Quarantine', () => {
  it('suspects nothing it has not been told of', () => {
    const quarantine = new Quarantine();

    quarantine.check('a', 'the image');

    assert.equal(quarantine.isSuspect('a'), false);
  });

  it('suspects what was in one crash, and refuses what was in two', () => {
    const quarantine = new Quarantine();

    quarantine.learn([
      { key: 'a', numDeaths: 1 },
      { key: 'b', numDeaths: 2 },
    ]);

    quarantine.check('a', 'the image');
    assert.equal(quarantine.isSuspect('a'), true);
    assert.throws(
      () => quarantine.check('b', 'the image'),
      refusal('QUARANTINED', /^the image was being computed when 2 processes crashed/),
    );
  });

  it('tells of a suspect that has gone through, once, and of nothing else', () => {
    const cleared: string[] = [];
    const quarantine = new Quarantine({ onCleared: (key) => cleared.push(key) });
    quarantine.learn([{ key: 'a', numDeaths: 1 }]);

    for (const key of ['a', 'a', 'other']) quarantine.clear(key);

    assert.deepEqual(cleared, ['a']);
    assert.equal(quarantine.isSuspect('a'), false);
  });
});
