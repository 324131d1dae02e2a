import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GATEWAY_ID, layoutMesh, type Place } from '#gateway/console/mesh/layout.ts';

const INSTANCES = [
  { address: 's:1', role: 'speech-encoder' },
  { address: 'b:1', role: 'llm-backbone' },
  { address: 'v:1', role: 'vision-encoder' },
  { address: 'b:2', role: 'llm-backbone' },
] as const;

function overlaps(a: Place, b: Place): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

describe('layoutMesh', () => {
  for (const width of [320, 719, 720, 1200, 2400]) {
    it(`puts every card inside ${width} pixels and over no other`, () => {
      const { places, height } = layoutMesh(INSTANCES, width);

      const all = [...places.values()];
      assert.equal(all.length, 5);
      for (const [index, place] of all.entries()) {
        assert(place.x >= 0 && place.x + place.width <= width + 0.5);
        assert(place.y >= 0 && place.y + place.height <= height + 0.5);
        assert(all.slice(index + 1).every((one) => !overlaps(place, one)));
      }
    });
  }

  it('goes from the gateway by the backbones to the encoders', () => {
    const { places, links } = layoutMesh(INSTANCES, 1200);

    const x = (id: string) => places.get(id)?.x ?? Number.NaN;
    assert(x(GATEWAY_ID) < x('b:1') && x('b:1') < x('v:1'));
    assert.deepEqual(
      links.map(({ from, to }) => `${from} ${to}`),
      ['gateway b:1', 'gateway b:2', 'b:1 v:1', 'b:1 s:1', 'b:2 v:1', 'b:2 s:1'],
    );
  });

  it('draws a gateway that knows nobody', () => {
    const { places, links } = layoutMesh([], 1200);

    assert.deepEqual([[...places.keys()], links], [[GATEWAY_ID], []]);
  });
});
