import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { faultKinds } from '#test/chaos/run-chaos.ts';

const namesOf = (words: readonly string[], hasRegistry: boolean) =>
  faultKinds(words, { hasRegistry }).map(({ name }) => name);

describe('the kinds of faults', () => {
  it('are those of the registry, too, if there is one', () => {
    const registry = ['registry-kill', 'registry-stop', 'registry-partition'];
    const isOfRegistry = (name: string) => name.startsWith('registry');

    assert.deepEqual(namesOf([], true).filter(isOfRegistry), registry);
    assert.deepEqual(namesOf([], false).filter(isOfRegistry), []);
    assert.equal(namesOf([], true).length, namesOf([], false).length + registry.length);
  });

  it('are those whose name holds one of the words', () => {
    const found = namesOf(['gateway', 'registry-part'], true);

    assert.deepEqual(found, ['gateway-kill', 'gateway-drain', 'registry-partition']);
  });

  it('do not include faults of a registry that is not there', () => {
    assert.throws(() => faultKinds(['registry'], { hasRegistry: false }), /no fault is called/);
  });
});
