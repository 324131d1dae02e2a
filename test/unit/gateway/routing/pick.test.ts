import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type EndpointView, findModel, pickEndpoint } from '#gateway/routing/pick.ts';

interface Named extends EndpointView {
  readonly name: string;
}

function endpoint(name: string, fields: { numOutstanding?: number; names?: string[] } = {}): Named {
  const { numOutstanding = 0, names: servedNames = ['m'] } = fields;
  return { name, numOutstanding, model: { servedNames } };
}

describe('pickEndpoint', () => {
  it('picks the endpoint with the least outstanding work', () => {
    const endpoints = [endpoint('a', { numOutstanding: 2 }), endpoint('b', { numOutstanding: 1 })];

    assert.equal(pickEndpoint(endpoints, { model: 'm', turn: 0 })?.name, 'b');
  });

  it('lets equally loaded endpoints take turns', () => {
    const endpoints = [endpoint('a'), endpoint('b'), endpoint('c', { numOutstanding: 1 })];

    const picked = [0, 1, 2, 3].map((turn) => pickEndpoint(endpoints, { model: 'm', turn })?.name);

    assert.deepEqual(picked, ['a', 'b', 'a', 'b']);
  });

  it('picks only endpoints that serve the model', () => {
    const endpoints = [
      { name: 'a', numOutstanding: 0, model: undefined },
      endpoint('b', { names: ['other'] }),
      endpoint('c', { numOutstanding: 5 }),
    ];

    assert.equal(pickEndpoint(endpoints, { model: 'm', turn: 0 })?.name, 'c');
  });

  it('picks none of no candidates', () => {
    assert.equal(pickEndpoint([], { model: 'm', turn: 3 }), undefined);
  });
});

describe('findModel', () => {
  it('takes the first model if none is named', () => {
    const endpoints = [endpoint('a', { names: ['x', 'y'] }), endpoint('b')];

    assert.deepEqual(findModel(endpoints, undefined), { kind: 'known', name: 'x' });
  });

  it('tells an unknown model from one whose endpoints are away', () => {
    const endpoints = [endpoint('a')];

    assert.deepEqual(findModel(endpoints, 'x'), { kind: 'unknown', known: ['m'] });
    assert.deepEqual(findModel(endpoints, 'm'), { kind: 'known', name: 'm' });
  });

  it('knows no model before an endpoint has told its own', () => {
    const endpoints = [{ numOutstanding: 0, model: undefined }, endpoint('b', { names: [] })];

    assert.deepEqual(findModel(endpoints, 'x'), { kind: 'none known' });
    assert.deepEqual(findModel(endpoints, undefined), { kind: 'none known' });
  });
});
