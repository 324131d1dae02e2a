import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type EndpointView, findModel } from '#gateway/routing/served-models.ts';

function endpoint({
  names: servedNames = ['m'],
}: {
  readonly names?: string[];
} = {}): EndpointView {
  return { model: { servedNames } };
}

describe('findModel', () => {
  it('takes the first model if none is named', () => {
    const endpoints = [endpoint({ names: ['x', 'y'] }), endpoint()];

    assert.deepEqual(findModel(endpoints, undefined), { kind: 'known', name: 'x' });
  });

  it('tells an unknown model from one whose endpoints are away', () => {
    const endpoints = [endpoint()];

    assert.deepEqual(findModel(endpoints, 'x'), { kind: 'unknown', known: ['m'] });
    assert.deepEqual(findModel(endpoints, 'm'), { kind: 'known', name: 'm' });
  });

  it('knows no model before an endpoint has told its own', () => {
    const endpoints = [{ model: undefined }, endpoint({ names: [] })];

    assert.deepEqual(findModel(endpoints, 'x'), { kind: 'none known' });
    assert.deepEqual(findModel(endpoints, undefined), { kind: 'none known' });
  });
});
