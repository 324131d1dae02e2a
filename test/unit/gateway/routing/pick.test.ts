import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type EndpointView, pickEndpoint } from '#gateway/routing/pick.ts';

interface Named extends EndpointView {
  readonly name: string;
}

function endpoint(name: string, fields: Partial<EndpointView> = {}): Named {
  return { name, isReady: true, numOutstanding: 0, servedNames: ['m'], ...fields };
}

function pick(
  endpoints: readonly Named[],
  wish: { model?: string; tried?: Named[]; turn?: number },
) {
  const { model, tried = [], turn = 0 } = wish;
  const picked = pickEndpoint(endpoints, { model, tried: new Set(tried), turn });
  return picked.kind === 'picked' ? picked.endpoint.name : picked;
}

describe('pickEndpoint', () => {
  it('picks the endpoint with the least outstanding work', () => {
    const endpoints = [endpoint('a', { numOutstanding: 2 }), endpoint('b', { numOutstanding: 1 })];

    assert.equal(pick(endpoints, { model: 'm' }), 'b');
  });

  it('lets equally loaded endpoints take turns', () => {
    const endpoints = [endpoint('a'), endpoint('b'), endpoint('c', { numOutstanding: 1 })];

    const picked = [0, 1, 2, 3].map((turn) => pick(endpoints, { model: 'm', turn }));

    assert.deepEqual(picked, ['a', 'b', 'a', 'b']);
  });

  it('picks no endpoint twice for one request', () => {
    const a = endpoint('a');
    const b = endpoint('b', { numOutstanding: 9 });

    assert.equal(pick([a, b], { model: 'm', tried: [a] }), 'b');
    assert.deepEqual(pick([a, b], { model: 'm', tried: [a, b] }), { kind: 'none_ready' });
  });

  it('picks only ready endpoints that serve the model', () => {
    const endpoints = [
      endpoint('a', { isReady: false }),
      endpoint('b', { servedNames: ['other'] }),
      endpoint('c', { numOutstanding: 5 }),
    ];

    assert.equal(pick(endpoints, { model: 'm' }), 'c');
  });

  it('takes the first model where none is named', () => {
    const endpoints = [endpoint('a', { servedNames: ['x', 'y'] }), endpoint('b')];

    assert.equal(pick(endpoints, { turn: 1 }), 'a');
  });

  it('tells an unknown model from one whose endpoints are away', () => {
    const endpoints = [endpoint('a', { isReady: false })];

    assert.deepEqual(pick(endpoints, { model: 'x' }), { kind: 'unknown_model', known: ['m'] });
    assert.deepEqual(pick(endpoints, { model: 'm' }), { kind: 'none_ready' });
  });

  it('knows no model before an endpoint has told its own', () => {
    const endpoints = [endpoint('a', { isReady: false, servedNames: [] })];

    assert.deepEqual(pick(endpoints, { model: 'x' }), { kind: 'none_ready' });
    assert.deepEqual(pick(endpoints, {}), { kind: 'none_ready' });
  });
});
