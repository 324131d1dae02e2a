import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { searchNames } from '#gateway/media/search-names.ts';

describe('searchNames', () => {
  it('asks for a name with a dot as it stands first', () => {
    const text = 'nameserver 10.0.0.1\nsearch one.example two.example\n';

    assert.deepEqual(searchNames(text, 'media.lan'), [
      'media.lan',
      'media.lan.one.example',
      'media.lan.two.example',
    ]);
  });

  it('asks for a name without a dot in the search domains first', () => {
    const text = 'search one.example. # ours\n';

    assert.deepEqual(searchNames(text, 'media'), ['media.one.example', 'media']);
  });

  it('counts dots as ndots says, as clusters set it', () => {
    const text = 'search ns.svc.cluster.local svc.cluster.local\noptions edns0 ndots:5\n';

    assert.deepEqual(searchNames(text, 'store.media'), [
      'store.media.ns.svc.cluster.local',
      'store.media.svc.cluster.local',
      'store.media',
    ]);
  });

  it('takes the last of several search lines, and domain as one', () => {
    assert.deepEqual(searchNames('search a.example\ndomain b.example', 'x'), ['x.b.example', 'x']);
  });

  it('asks for the name alone where nothing is configured', () => {
    assert.deepEqual(searchNames('', 'media'), ['media']);
  });

  it('tries no more than six domains', () => {
    const text = `search ${Array.from({ length: 50 }, (_, i) => `d${i}`).join(' ')}`;

    assert.equal(searchNames(text, 'media').length, 7);
  });
});
